import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Wallet } from 'ethers';
import { describe, expect, test } from 'vitest';
import { tlsFiles, validatorKeyFile } from '../../../src/config/config.ts';
import { loadCluster } from '../../../src/config/load_cluster.ts';
import { publicKey } from '../../../src/crypto/bls.ts';
import { bytesEqual, fromHex, toPrefixedHex } from '../../../src/lib/bytes.ts';
import { identityOfSubjectAltName } from '../../../src/types/certificate_identity.ts';
import { newCluster, partyOf, shakeHands, temporaryFolder } from './cli_fixture.ts';

const ADDRESS = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const DAY_MS = 86_400_000;

async function readCertificate(file: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(file));
}

describe('a new cluster', () => {
  test('can be read back, and its parts fit together', async () => {
    const made = await newCluster({ fund: [ADDRESS], devAccountCount: 2, chainId: 4242n });
    const { config, genesis } = await loadCluster({ file: made.clusterFile, environment: {} });
    expect(config).toEqual(made.config);
    expect(config.members.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(genesis.chainId).toBe(4242n);
    const secretKey = fromHex((await readFile(validatorKeyFile(config), 'utf8')).trim())!;
    expect(secretKey).toHaveLength(32);
    expect(genesis.validators).toHaveLength(1);
    expect(bytesEqual(genesis.validators[0]!.publicKey, publicKey(secretKey))).toBe(true);
    expect(genesis.validators[0]!.rewardAddress).toEqual(genesis.validators[0]!.address);
    const funded = genesis.accounts.map(({ address }) => toPrefixedHex(address));
    const expected = [ADDRESS, ...made.devAccounts.map(({ address }) => address)];
    expect(funded).toEqual(expected.map((address) => address.toLowerCase()).toSorted());
    expect(genesis.accounts[0]!.balance).toBe(10n ** 24n);
  });

  test('keeps its secrets from other users', async () => {
    const { config } = await newCluster({ devAccountCount: 1 });
    const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
    expect(await modeOf(config.secretsFolder)).toBe(0o700);
    expect(await modeOf(join(config.secretsFolder, 'tls'))).toBe(0o700);
    const secrets = await readdir(config.secretsFolder, { recursive: true, withFileTypes: true });
    const files = secrets.filter((entry) => entry.isFile());
    const isSecret = (name: string) => !/^[^.]+\.pem$/.test(name);
    for (const { name, parentPath } of files)
      expect([name, await modeOf(join(parentPath, name))]).toEqual([
        name,
        isSecret(name) ? 0o600 : 0o644,
      ]);
    expect(
      files
        .filter(({ name }) => isSecret(name))
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual([
      'ca.key.pem',
      'client.key.pem',
      'dev-accounts.json',
      'member-1.key.pem',
      'member-2.key.pem',
      'member-3.key.pem',
      'operator.key.pem',
      'validator.key',
    ]);
  });

  test('has one certificate for each role, under its CA', async () => {
    const { config } = await newCluster({ template: 'three-machines' });
    const ca = await readCertificate(tlsFiles(config, 'ca').caFile);
    expect(ca.ca).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
    const names = ['member-1', 'member-2', 'member-3', 'operator', 'client'];
    for (const name of names) {
      const files = tlsFiles(config, name);
      const certificate = await readCertificate(files.certificateFile);
      const [role, id] = name.split('-');
      expect(certificate.subject).toBe(`CN=${name}`);
      expect(certificate.ca).toBe(false);
      expect(certificate.checkIssued(ca)).toBe(true);
      expect(certificate.verify(ca.publicKey)).toBe(true);
      expect(certificate.checkPrivateKey(createPrivateKey(await readFile(files.keyFile)))).toBe(
        true,
      );
      expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
      expect(identityOfSubjectAltName(certificate.subjectAltName)).toEqual({
        clusterId: 'three-machines',
        role,
        name: id ?? name,
      });
      const isMember = role === 'member';
      const dialled = `10.0.0.1${id ?? '1'}`;
      expect(certificate.checkIP(dialled)).toBe(isMember ? dialled : undefined);
      expect(certificate.checkHost('localhost')).toBeUndefined();
      const uses = isMember ? ['1.3.6.1.5.5.7.3.1'] : [];
      expect(certificate.keyUsage).toEqual([...uses, '1.3.6.1.5.5.7.3.2']);
      const days = (certificate.validToDate.getTime() - Date.now()) / DAY_MS;
      expect(Math.round(days)).toBe(365);
    }
    const serials = await Promise.all(
      names.map(
        async (name) =>
          (await readCertificate(tlsFiles(config, name).certificateFile)).serialNumber,
      ),
    );
    expect(new Set(serials).size).toBe(names.length);
  });

  test('speaks mutual TLS between all its roles, and with nobody else', async () => {
    const { config } = await newCluster();
    const other = await newCluster();
    const server = await partyOf(config, 'member-1');
    for (const name of ['member-2', 'operator', 'client']) {
      const peer = await shakeHands(server, await partyOf(config, name));
      expect(peer.subject.CN).toBe(name);
      expect(identityOfSubjectAltName(peer.subjectaltname)?.clusterId).toBe('local-3');
    }
    const stranger = await partyOf(other.config, 'client');
    await expect(shakeHands(server, stranger)).rejects.toThrow();
    await expect(shakeHands(server, { ...stranger, ca: server.ca })).rejects.toThrow();
    // An operator is no server, whatever it claims.
    const client = await partyOf(config, 'client');
    await expect(shakeHands(await partyOf(config, 'operator'), client)).rejects.toThrow();
  });

  test('has dev accounts only when asked, the same in every cluster', async () => {
    const [first, second] = [
      await newCluster({ devAccountCount: 3 }),
      await newCluster({ devAccountCount: 3 }),
    ];
    expect(first.devAccounts).toEqual(second.devAccounts);
    expect(first.validatorPublicKey).not.toBe(second.validatorPublicKey);
    for (const { address, privateKey } of first.devAccounts)
      expect(new Wallet(privateKey).address).toBe(address);
    const text = await readFile(join(first.secretsFolder, 'dev-accounts.json'), 'utf8');
    const written = JSON.parse(text);
    expect(written.accounts).toEqual(first.devAccounts);
    expect(written.warning).toContain('FOR TESTS ONLY');
    expect(first.notes.join('\n')).toContain('FOR TESTS ONLY');
    const without = await newCluster();
    expect(await readdir(without.secretsFolder)).toEqual(['tls', 'validator.key']);
    expect(without.notes.join('\n')).toContain('No account has funds');
  });

  test('takes other ports and keeps the words of its template', async () => {
    const ports = (id: number) => ({ peer: id * 100, api: id * 100 + 1, admin: id * 100 + 2 });
    const { config, clusterFile } = await newCluster({ memberCount: 5, ports });
    expect(config.members.map((member) => member.ports)).toEqual([1, 2, 3, 4, 5].map(ports));
    expect(await readFile(clusterFile, 'utf8')).toContain('# Five members on this machine');
  });

  test('takes another data folder', async () => {
    const { config } = await newCluster({ template: 'three-machines', data: 'here' });
    expect(config.dataFolder).toBe(join(dirname(config.file), 'here'));
    expect(config.members[0]?.ports.peer).toBe(7_100);
  });

  test('sends fees where it is told', async () => {
    const { genesisFile } = await newCluster({ rewardAddress: ADDRESS });
    expect(await readFile(genesisFile, 'utf8')).toContain(`rewardAddress: "${ADDRESS}"`);
  });
});

describe('init refuses', () => {
  test('a folder with anything in it, unless forced, and never replaces a file', async () => {
    const directory = await temporaryFolder();
    await writeFile(join(directory, 'notes.txt'), 'mine');
    await expect(newCluster({ directory })).rejects.toThrow(`${directory} is not empty`);
    const { config } = await newCluster({ directory, force: true });
    const key = await readFile(validatorKeyFile(config), 'utf8');
    await expect(newCluster({ directory, force: true })).rejects.toThrow(
      'exists: keys are never overwritten',
    );
    expect(await readFile(validatorKeyFile(config), 'utf8')).toBe(key);
    expect(await readFile(join(directory, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a folder that is a file', async () => {
    const directory = join(await temporaryFolder(), 'file');
    await writeFile(directory, '');
    await expect(newCluster({ directory })).rejects.toThrow('cannot be used: ENOTDIR');
  });

  test('a template whose files would lie outside the folder', async () => {
    const folder = await temporaryFolder();
    const template = join(folder, 'mine.yaml');
    const text = `version: 1
cluster: mine
genesis: ../genesis.yaml
secrets: /etc/blockraft
members: [{ id: 1, host: localhost, ports: { peer: 1, api: 2, admin: 3 } }]
`;
    await writeFile(template, text);
    const directory = join(folder, 'new');
    await expect(newCluster({ directory, template })).rejects.toThrow(/genesis .*\n.*secrets /);
    expect(await readdir(folder)).toEqual(['mine.yaml']);
  });

  test.each([
    [{ template: 'nowhere' }, 'cannot be read'],
    [{ memberCount: 4 }, 'a cluster has 1, 3, 5 or 7 members, not 4'],
    [{ memberCount: 3, template: 'solo' }, 'give TEMPLATE or --members'],
    [{ fund: ['0x12'] }, 'the account 0x12 must be an address: 0x and 40 hex digits'],
    [{ fund: [ADDRESS, ADDRESS.toLowerCase()] }, `the account ${ADDRESS} is given twice`],
    [{ rewardAddress: 'me' }, 'the reward address me must be an address'],
    [{ devAccountCount: 10_001 }, 'there may be 0 to 10000 dev accounts, not 10001'],
    [{ chainId: 0n }, 'chainId is "0": must be a whole number from 1'],
    [{ ports: () => ({ peer: 1, api: 1, admin: 2 }) }, 'has this port already'],
  ])('%o and leaves nothing behind', async (options, message) => {
    const folder = await temporaryFolder();
    await expect(newCluster({ directory: join(folder, 'new'), ...options })).rejects.toThrow(
      message,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test('a template that is wrong, naming its own lines', async () => {
    const folder = await temporaryFolder();
    const template = join(folder, 'mine.yaml');
    await writeFile(template, 'version: 1\ncluster: Mine\n');
    await expect(newCluster({ directory: join(folder, 'new'), template })).rejects.toThrow(
      `${template}:2: cluster is "Mine"`,
    );
  });

  test('to leave half a cluster when a write fails', async () => {
    const folder = await temporaryFolder();
    const template = join(folder, 'mine.yaml');
    // The folder of the genesis stands where the cluster file should.
    const text = `version: 1
cluster: mine
genesis: cluster.yaml/genesis.yaml
members: [{ id: 1, host: localhost, ports: { peer: 1, api: 2, admin: 3 } }]
`;
    await writeFile(template, text);
    await expect(newCluster({ directory: join(folder, 'new'), template })).rejects.toThrow(
      'EEXIST',
    );
    expect(await readdir(folder)).toEqual(['mine.yaml']);
    await expect(newCluster({ directory: folder, template, force: true })).rejects.toThrow(
      'EEXIST',
    );
    expect(await readdir(folder)).toEqual(['mine.yaml']);
  });
});
