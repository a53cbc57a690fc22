import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, tlsFiles } from '../config/config.ts';
import { errorText } from '../lib/error.ts';
import { isLoopbackHost } from '../lib/host.ts';
import {
  type CertificateIdentity,
  type CertificateRole,
  identityOfSubjectAltName,
} from '../types/certificate_identity.ts';
import { replaceFile } from './atomic_file.ts';
import {
  crossSign,
  fileNameOf,
  issueCertificate,
  type KeyedCertificate,
  makeAuthority,
} from './certificates.ts';
import { CliError } from './exit_codes.ts';

export const PUBLIC_FILE_MODE = 0o644;
export const SECRET_FILE_MODE = 0o600;
export const SECRET_FOLDER_MODE = 0o700;
/** Names of a loopback host by any of which it may be dialled. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1'];
const PEM_PATTERN = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g;

/** The identities that a cluster has certificates for: its members, an operator and a client. */
function identitiesOf(config: Config): CertificateIdentity[] {
  const { clusterId } = config;
  return [
    ...config.members.map(
      ({ id }): CertificateIdentity => ({ clusterId, role: 'member', name: String(id) }),
    ),
    { clusterId, role: 'operator', name: 'operator' },
    { clusterId, role: 'client', name: 'client' },
  ];
}

/** Makes the CA and all certificates of a cluster whose folder has none. */
export async function createTlsFolder(config: Config, nowMs: number): Promise<void> {
  const folder = new TlsFolder(config, nowMs);
  await mkdir(folder.path, { recursive: true, mode: SECRET_FOLDER_MODE });
  const authority = await makeAuthority({ clusterId: config.clusterId, nowMs });
  await folder.writeAuthorities([authority.certificatePem]);
  await replaceFile(folder.authorityKeyFile, authority.keyPem, SECRET_FILE_MODE);
  for (const identity of identitiesOf(config)) await folder.issue(identity, { authority });
}

/**
 * What to rotate. `renew`: new certificates, of all names or only one, from the newest CA. `new-authority`: a new CA beside
 * the old one, and certificates from it which those who know only the old one accept too. `finish`: the old CA is
 * no longer trusted.
 */
export type Rotation =
  | { readonly kind: 'renew'; readonly only?: string | undefined }
  | { readonly kind: 'new-authority' }
  | { readonly kind: 'finish' };

/** Names of the certificates that are new. */
export async function rotateTlsFolder(
  config: Config,
  rotation: Rotation,
  nowMs: number,
): Promise<string[]> {
  const folder = new TlsFolder(config, nowMs);
  await folder.resume();
  const identities = identitiesOf(config);
  switch (rotation.kind) {
    case 'renew': {
      const chosen = chooseIdentities(identities, rotation.only);
      return await folder.issueAll(chosen, await folder.readAuthorities());
    }
    case 'new-authority': {
      const before = await folder.readAuthorities();
      if (before.older.length > 0)
        throw new CliError(
          'failure',
          'two CAs are trusted already: run "blockraft certs rotate --finish" before the next --ca',
        );
      await folder.addAuthority(before.authority);
      return await folder.issueAll(identities, await folder.readAuthorities());
    }
    case 'finish': {
      const { authority, older } = await folder.readAuthorities();
      if (older.length === 0)
        throw new CliError('failure', 'only one CA is trusted: there is no rotation to finish');
      const names = await folder.issueAll(identities, { authority, older: [], crossPem: '' });
      await folder.removeOlder(authority);
      return names;
    }
  }
}

/**
 * Makes the certificate of a member that has none. `elsewhere`: the CA's key is not here, so that it must be made where
 * that is.
 */
export async function ensureMemberCertificate(
  config: Config,
  id: number,
  nowMs: number,
): Promise<'made' | 'present' | 'elsewhere'> {
  const { certificateFile, keyFile } = tlsFiles(config, `member-${id}`);
  if (existsSync(certificateFile) && existsSync(keyFile)) return 'present';
  const folder = new TlsFolder(config, nowMs);
  if (!existsSync(folder.authorityKeyFile)) return 'elsewhere';
  await folder.resume();
  const { clusterId } = config;
  await folder.issue(
    { clusterId, role: 'member', name: String(id) },
    await folder.readAuthorities(),
  );
  return 'made';
}

/** One certificate as `certs show` lists it. */
export interface ShownCertificate {
  readonly name: string;
  readonly subject: string;
  readonly issuer: string;
  /** `ca` for a CA, undefined when the certificate is not one of ours. */
  readonly role: CertificateRole | 'ca' | undefined;
  readonly subjectAltName: string;
  readonly expires: string;
  readonly daysLeft: number;
  /** What is wrong with it, in words; empty when nothing is. */
  readonly problem: string;
}

/** All certificates in the folder: CAs first, the rest by name. */
export async function showTlsFolder(config: Config, nowMs: number): Promise<ShownCertificate[]> {
  const { path } = new TlsFolder(config, nowMs);
  const authorities = await readCertificates(tlsFiles(config, 'ca').caFile);
  const files = (await readdir(path)).filter(
    (file) => file.endsWith('.pem') && !file.endsWith('.key.pem') && !file.startsWith('ca'),
  );
  const shown = authorities.map((certificate) =>
    shownCertificate('ca', certificate, { nowMs, problem: '' }),
  );
  for (const name of files.map((file) => file.slice(0, -'.pem'.length)).toSorted()) {
    const { certificateFile, keyFile } = tlsFiles(config, name);
    const chain = await readCertificates(certificateFile);
    const [certificate] = chain;
    if (certificate === undefined) continue;
    const problem = await pairProblem({ certificate, keyFile, authorities, config });
    shown.push(shownCertificate(name, certificate, { nowMs, problem }));
  }
  return shown;
}

function shownCertificate(
  name: string,
  certificate: X509Certificate,
  { nowMs, problem }: { nowMs: number; problem: string },
): ShownCertificate {
  const expires = certificate.validToDate;
  const isOver = expires.getTime() <= nowMs;
  return {
    name,
    subject: certificate.subject,
    issuer: certificate.issuer,
    role: certificate.ca ? 'ca' : identityOfSubjectAltName(certificate.subjectAltName)?.role,
    subjectAltName: certificate.subjectAltName ?? '',
    expires: expires.toISOString(),
    daysLeft: Math.floor((expires.getTime() - nowMs) / 86_400_000),
    problem: isOver ? 'expired' : problem,
  };
}

async function pairProblem(options: {
  certificate: X509Certificate;
  keyFile: string;
  authorities: readonly X509Certificate[];
  config: Config;
}): Promise<string> {
  const { certificate, keyFile, authorities, config } = options;
  const identity = identityOfSubjectAltName(certificate.subjectAltName);
  if (identity?.clusterId !== config.clusterId) return `not of cluster ${config.clusterId}`;
  if (!authorities.some((authority) => certificate.verify(authority.publicKey)))
    return 'signed by no CA in ca.pem';
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(await readFile(keyFile))))
      return 'does not fit its key';
  } catch (thrown) {
    return `its key cannot be read: ${errorText(thrown)}`;
  }
  return '';
}

function chooseIdentities(
  identities: readonly CertificateIdentity[],
  only: string | undefined,
): CertificateIdentity[] {
  const chosen = identities.filter(
    (identity) => only === undefined || fileNameOf(identity) === only,
  );
  if (chosen.length > 0) return chosen;
  const names = identities.map(fileNameOf).join(', ');
  throw new CliError('usage', `there is no certificate ${only}; there are ${names}`);
}

/** The CAs of a folder: the newest with its key, the older ones that are still trusted. */
interface Authorities {
  readonly authority: KeyedCertificate;
  readonly older: readonly string[];
  /** The newest CA under an older one's signature, sent along while both are trusted; else empty. */
  readonly crossPem: string;
}

/** The files of `<secrets>/tls`; every write replaces a file in one step. */
class TlsFolder {
  readonly path: string;
  readonly authorityKeyFile: string;
  readonly #nextKeyFile: string;
  readonly #crossFile: string;
  readonly #config: Config;
  readonly #nowMs: number;

  constructor(config: Config, nowMs: number) {
    this.#config = config;
    this.#nowMs = nowMs;
    this.path = join(config.secretsFolder, 'tls');
    this.authorityKeyFile = join(this.path, 'ca.key.pem');
    this.#nextKeyFile = join(this.path, 'ca-next.key.pem');
    this.#crossFile = join(this.path, 'ca-cross.pem');
  }

  /** Ends a change of the CA that was interrupted: its key counts once its certificate is trusted. */
  async resume(): Promise<void> {
    const keyPem = await readFile(this.#nextKeyFile, 'utf8').catch(ignoreMissing);
    if (keyPem === undefined) return;
    const trusted = await readCertificates(tlsFiles(this.#config, 'ca').caFile);
    if (trusted.some((certificate) => isKeyOf(keyPem, certificate)))
      await rename(this.#nextKeyFile, this.authorityKeyFile);
    else await rm(this.#nextKeyFile);
  }

  async readAuthorities(): Promise<Authorities> {
    const { caFile } = tlsFiles(this.#config, 'ca');
    const keyPem = await readFile(this.authorityKeyFile, 'utf8').catch(ignoreMissing);
    if (keyPem === undefined)
      throw new CliError(
        'failure',
        `${this.authorityKeyFile} is missing: rotate where the CA key is kept, then copy the new files here`,
      );
    const certificates = await readCertificates(caFile);
    const newest = certificates.find((certificate) => isKeyOf(keyPem, certificate));
    if (newest === undefined)
      throw new CliError('failure', `${this.authorityKeyFile} fits no certificate in ${caFile}`);
    const older = certificates.filter((certificate) => certificate !== newest);
    return {
      authority: { certificatePem: pemOf(newest), keyPem },
      older: older.map(pemOf),
      crossPem: older.length === 0 ? '' : await readFile(this.#crossFile, 'utf8'),
    };
  }

  /** The order of the writes is what `resume` relies on. */
  async addAuthority(old: KeyedCertificate): Promise<void> {
    const nowMs = this.#nowMs;
    const authority = await makeAuthority({ clusterId: this.#config.clusterId, nowMs });
    const crossPem = await crossSign({ by: old, subject: authority });
    await replaceFile(this.#nextKeyFile, authority.keyPem, SECRET_FILE_MODE);
    await replaceFile(this.#crossFile, crossPem, PUBLIC_FILE_MODE);
    await this.writeAuthorities([authority.certificatePem, old.certificatePem]);
    await rename(this.#nextKeyFile, this.authorityKeyFile);
  }

  async removeOlder(authority: KeyedCertificate): Promise<void> {
    await this.writeAuthorities([authority.certificatePem]);
    await rm(this.#crossFile, { force: true });
  }

  async writeAuthorities(pems: readonly string[]): Promise<void> {
    await replaceFile(tlsFiles(this.#config, 'ca').caFile, pems.join(''), PUBLIC_FILE_MODE);
  }

  async issueAll(
    identities: readonly CertificateIdentity[],
    authorities: Authorities,
  ): Promise<string[]> {
    for (const identity of identities) await this.issue(identity, authorities);
    return identities.map(fileNameOf);
  }

  async issue(
    identity: CertificateIdentity,
    { authority, crossPem = '' }: { authority: KeyedCertificate; crossPem?: string },
  ): Promise<void> {
    const { certificateFile, keyFile } = tlsFiles(this.#config, fileNameOf(identity));
    const issued = await issueCertificate({
      authority,
      identity,
      hosts: hostsOf(this.#config, identity),
      nowMs: this.#nowMs,
    });
    // The certificate last: a reader that sees it change finds its key in place.
    await replaceFile(keyFile, issued.keyPem, SECRET_FILE_MODE);
    await replaceFile(certificateFile, issued.certificatePem + crossPem, PUBLIC_FILE_MODE);
  }
}

function hostsOf(config: Config, identity: CertificateIdentity): string[] {
  const member =
    identity.role === 'member'
      ? config.members.find(({ id }) => String(id) === identity.name)
      : undefined;
  if (member === undefined) return [];
  const names = isLoopbackHost(member.host) ? LOOPBACK_NAMES : [];
  return [...new Set([member.host, ...names])];
}

async function readCertificates(file: string): Promise<X509Certificate[]> {
  const text = await readFile(file, 'utf8').catch(ignoreMissing);
  if (text === undefined)
    throw new CliError('failure', `${file} is missing; "blockraft init" makes the certificates`);
  const pems = text.match(PEM_PATTERN) ?? [];
  if (pems.length === 0) throw new CliError('failure', `${file} holds no certificate`);
  return pems.map((pem) => new X509Certificate(pem));
}

function isKeyOf(keyPem: string, certificate: X509Certificate): boolean {
  return createPublicKey(keyPem).equals(certificate.publicKey);
}

function pemOf(certificate: X509Certificate): string {
  return certificate.toString();
}

function ignoreMissing(thrown: unknown): undefined {
  if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
}
