import { X509Certificate } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rotateTlsFolder, showTlsFolder } from '../../../src/cli/tls_folder.ts';
import { type Config, tlsFiles } from '../../../src/config/config.ts';
import { newCluster, partyOf, shakeHands, type TlsParty } from './cli_fixture.ts';

const NAMES = ['member-1', 'member-2', 'member-3', 'operator', 'client'];
const DAY_MS = 86_400_000;

async function rotate(config: Config, rotation: Parameters<typeof rotateTlsFolder>[1]) {
  return await rotateTlsFolder(config, rotation, Date.now());
}

/** Both directions between two members, each with the files that it has loaded. */
async function expectUnderstanding(one: TlsParty, other: TlsParty): Promise<void> {
  await shakeHands(one, other);
  await shakeHands(other, one);
}

async function expectRefusal(one: TlsParty, other: TlsParty): Promise<void> {
  await expect(shakeHands(one, other)).rejects.toThrow();
  await expect(shakeHands(other, one)).rejects.toThrow();
}

describe('renewing under the same CA', () => {
  test('gives every name a new key and certificate that old ones accept', async () => {
    const { config } = await newCluster();
    const before = await Promise.all(NAMES.map((name) => partyOf(config, name)));
    expect(await rotate(config, { kind: 'renew' })).toEqual(NAMES);
    for (const [index, name] of NAMES.entries()) {
      const after = await partyOf(config, name);
      expect(after.ca).toBe(before[index]!.ca);
      expect(after.cert).not.toBe(before[index]!.cert);
      expect(after.key).not.toBe(before[index]!.key);
      expect((await stat(tlsFiles(config, name).keyFile)).mode & 0o777).toBe(0o600);
    }
    await expectUnderstanding(await partyOf(config, 'member-1'), before[1]!);
  });

  test('touches only the name that it is given', async () => {
    const { config } = await newCluster();
    const before = await Promise.all(NAMES.map((name) => partyOf(config, name)));
    expect(await rotate(config, { kind: 'renew', only: 'operator' })).toEqual(['operator']);
    const after = await Promise.all(NAMES.map((name) => partyOf(config, name)));
    expect(NAMES.filter((_, index) => after[index]!.cert !== before[index]!.cert)).toEqual([
      'operator',
    ]);
    await expect(rotate(config, { kind: 'renew', only: 'member-4' })).rejects.toThrow(
      'there is no certificate member-4; there are member-1, member-2, member-3, operator, client',
    );
  });

  test('leaves nothing but the files of the layout', async () => {
    const { config } = await newCluster();
    const folder = join(config.secretsFolder, 'tls');
    const before = await readdir(folder);
    await rotate(config, { kind: 'renew' });
    await rotate(config, { kind: 'new-authority' });
    expect((await readdir(folder)).filter((file) => !before.includes(file))).toEqual([
      'ca-cross.pem',
    ]);
    await rotate(config, { kind: 'finish' });
    expect(await readdir(folder)).toEqual(before);
  });
});

describe('a new CA', () => {
  test('lets everyone understand everyone at each step, whoever has reloaded', async () => {
    const { config } = await newCluster();
    const old = await partyOf(config, 'member-1');
    await rotate(config, { kind: 'new-authority' });
    const overlap = await partyOf(config, 'member-1');
    expect(overlap.ca.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    await expectUnderstanding(old, overlap);
    await expectUnderstanding(overlap, overlap);
    // A renewal between the two runs changes nothing of that.
    await rotate(config, { kind: 'renew' });
    const renewed = await partyOf(config, 'member-2');
    await expectUnderstanding(old, renewed);
    await expectUnderstanding(overlap, renewed);
    await rotate(config, { kind: 'finish' });
    const finished = await partyOf(config, 'member-1');
    expect(finished.ca.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(finished.cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    await expectUnderstanding(overlap, finished);
    await expectUnderstanding(renewed, finished);
    await expectUnderstanding(finished, finished);
    await expectRefusal(old, finished);
  });

  test('is a different one, and its key replaces the old one', async () => {
    const { config } = await newCluster();
    const { caFile: ca } = tlsFiles(config, 'ca');
    const keyFile = join(config.secretsFolder, 'tls', 'ca.key.pem');
    const [oldCa, oldKey] = [await readFile(ca, 'utf8'), await readFile(keyFile, 'utf8')];
    await rotate(config, { kind: 'new-authority' });
    expect(await readFile(keyFile, 'utf8')).not.toBe(oldKey);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    await rotate(config, { kind: 'finish' });
    const newCa = new X509Certificate(await readFile(ca));
    expect(newCa.subject).not.toBe(new X509Certificate(oldCa).subject);
  });

  test('is begun once and finished once', async () => {
    const { config } = await newCluster();
    await expect(rotate(config, { kind: 'finish' })).rejects.toThrow('only one CA is trusted');
    await rotate(config, { kind: 'new-authority' });
    await expect(rotate(config, { kind: 'new-authority' })).rejects.toThrow(
      'run "blockraft certs rotate --finish" before the next --ca',
    );
    await rotate(config, { kind: 'finish' });
    await rotate(config, { kind: 'new-authority' });
  });

  test('is completed by the next run when its key was not in place yet', async () => {
    const { config } = await newCluster();
    const folder = join(config.secretsFolder, 'tls');
    const oldKey = await readFile(join(folder, 'ca.key.pem'), 'utf8');
    const old = await partyOf(config, 'member-1');
    await rotate(config, { kind: 'new-authority' });
    // As after a crash between the write of ca.pem and the rename of the key.
    await rename(join(folder, 'ca.key.pem'), join(folder, 'ca-next.key.pem'));
    await writeFile(join(folder, 'ca.key.pem'), oldKey, { mode: 0o600 });
    await rotate(config, { kind: 'renew' });
    await expectUnderstanding(old, await partyOf(config, 'member-2'));
    await rotate(config, { kind: 'finish' });
    await shakeHands(await partyOf(config, 'member-1'), await partyOf(config, 'client'));
  });

  test('is begun anew when nothing trusts its key yet', async () => {
    const { config } = await newCluster();
    const folder = join(config.secretsFolder, 'tls');
    const stranger = await newCluster();
    const strangerKey = join(stranger.config.secretsFolder, 'tls', 'ca.key.pem');
    await writeFile(join(folder, 'ca-next.key.pem'), await readFile(strangerKey));
    await rotate(config, { kind: 'renew' });
    expect(await readdir(folder)).not.toContain('ca-next.key.pem');
  });
});

describe('rotation says what is missing', () => {
  test('the CA key, away from the machine that keeps it', async () => {
    const { config } = await newCluster();
    await rm(join(config.secretsFolder, 'tls', 'ca.key.pem'));
    const before = await partyOf(config, 'member-1');
    await expect(rotate(config, { kind: 'renew' })).rejects.toThrow(
      'ca.key.pem is missing: rotate where the CA key is kept',
    );
    expect(await partyOf(config, 'member-1')).toEqual(before);
  });

  test('a key of another CA', async () => {
    const { config } = await newCluster();
    const other = await newCluster();
    const keyFile = (of: Config) => join(of.secretsFolder, 'tls', 'ca.key.pem');
    await writeFile(keyFile(config), await readFile(keyFile(other.config)));
    await expect(rotate(config, { kind: 'renew' })).rejects.toThrow('fits no certificate in');
  });

  test('any CA', async () => {
    const { config } = await newCluster();
    await writeFile(tlsFiles(config, 'ca').caFile, 'nothing');
    await expect(rotate(config, { kind: 'renew' })).rejects.toThrow('holds no certificate');
  });
});

describe('the list of certificates', () => {
  test('names roles and days', async () => {
    const { config } = await newCluster();
    const shown = await showTlsFolder(config, Date.now());
    expect(shown.map(({ name, role, problem }) => [name, role, problem])).toEqual([
      ['ca', 'ca', ''],
      ['client', 'client', ''],
      ['member-1', 'member', ''],
      ['member-2', 'member', ''],
      ['member-3', 'member', ''],
      ['operator', 'operator', ''],
    ]);
    expect(shown[2]?.subjectAltName).toContain('URI:blockraft://local-3/member/1');
    expect(shown[2]?.daysLeft).toBe(364);
  });

  test('names what is wrong', async () => {
    const { config } = await newCluster();
    const other = await newCluster({ template: 'solo' });
    const files = (of: Config, name: string) => tlsFiles(of, name);
    const copy = async (from: string, to: string) => writeFile(to, await readFile(from));
    await copy(
      files(other.config, 'client').certificateFile,
      files(config, 'client').certificateFile,
    );
    await copy(files(config, 'member-2').keyFile, files(config, 'member-1').keyFile);
    await rm(files(config, 'operator').keyFile);
    const again = await newCluster();
    await copy(
      files(again.config, 'member-3').certificateFile,
      files(config, 'member-3').certificateFile,
    );
    const problems = async (nowMs: number) =>
      Object.fromEntries(
        (await showTlsFolder(config, nowMs)).map(({ name, problem }) => [name, problem]),
      );
    expect(await problems(Date.now())).toEqual({
      ca: '',
      client: 'not of cluster local-3',
      'member-1': 'does not fit its key',
      'member-2': '',
      'member-3': 'signed by no CA in ca.pem',
      operator: expect.stringContaining('its key cannot be read: ENOENT'),
    });
    expect((await problems(Date.now() + 366 * DAY_MS))['member-2']).toBe('expired');
  });
});
