import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type CertificateIdentity, certificateUri } from '../types/certificate_identity.ts';

// Every key is ECDSA P-256: what all TLS 1.3 stacks have, and cheap to check in a handshake.
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const AUTHORITY_LIFETIME_MS = 3_650 * DAY_MS;
const CERTIFICATE_LIFETIME_MS = 365 * DAY_MS;
/** A certificate holds since before it was made, for machines whose clocks are behind. */
const BACKDATED_MS = 3_600_000;
/** An authority may have one more below it: its successor, while both are trusted. */
const AUTHORITIES_BELOW_MAX = 1;

/** A certificate with its private key (PKCS #8), both PEM. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A new self-signed cluster CA. */
export async function makeAuthority(options: {
  clusterId: string;
  nowMs: number;
}): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const keyId = await SubjectKeyIdentifierExtension.create(keys.publicKey);
  // Part of the key in the name tells two authorities of one cluster apart.
  const name = commonName(`${options.clusterId} CA ${keyId.keyId.slice(0, 8)}`);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    ...validity(options.nowMs, AUTHORITY_LIFETIME_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [...authorityExtensions(AUTHORITIES_BELOW_MAX), keyId],
  });
  return { certificatePem: pemOf(certificate), keyPem: await keyPemOf(keys.privateKey) };
}

/**
 * A new CA's key under the signature of an old one. Sent along with the certificates of the new CA, it makes them
 * valid for those who still trust only the old one.
 */
export async function crossSign(options: {
  by: KeyedCertificate;
  subject: KeyedCertificate;
}): Promise<string> {
  const issuer = new X509Certificate(options.by.certificatePem);
  const subject = new X509Certificate(options.subject.certificatePem);
  const certificate = await X509CertificateGenerator.create({
    subject: subject.subjectName.toJSON(),
    issuer: issuer.subjectName.toJSON(),
    publicKey: subject.publicKey,
    signingKey: await importKey(options.by.keyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
    notBefore: subject.notBefore,
    notAfter: issuer.notAfter,
    extensions: [
      ...authorityExtensions(0),
      await SubjectKeyIdentifierExtension.create(subject.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pemOf(certificate);
}

/** A certificate with a new key for one identity; members get the names under which they are dialled. */
export async function issueCertificate(options: {
  authority: KeyedCertificate;
  identity: CertificateIdentity;
  hosts: readonly string[];
  nowMs: number;
}): Promise<KeyedCertificate> {
  const { authority, identity, hosts, nowMs } = options;
  const issuer = new X509Certificate(authority.certificatePem);
  const keys = await generateKeys();
  const { clientAuth, serverAuth } = ExtendedKeyUsage;
  const names: JsonGeneralName[] = [
    { type: 'url', value: certificateUri(identity) },
    ...hosts.map((host): JsonGeneralName => ({ type: isIP(host) ? 'ip' : 'dns', value: host })),
  ];
  const certificate = await X509CertificateGenerator.create({
    subject: commonName(fileNameOf(identity)),
    issuer: issuer.subjectName.toJSON(),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
    ...validity(nowMs, CERTIFICATE_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(
        identity.role === 'member' ? [serverAuth, clientAuth] : [clientAuth],
      ),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificatePem: pemOf(certificate), keyPem: await keyPemOf(keys.privateKey) };
}

/** The name of an identity's files, and its common name: `member-1`, `operator`, `client`. */
export function fileNameOf({ role, name }: CertificateIdentity): string {
  return role === 'member' ? `member-${name}` : name;
}

function authorityExtensions(authoritiesBelowMax: number) {
  return [
    new BasicConstraintsExtension(true, authoritiesBelowMax, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
}

function commonName(name: string): JsonName {
  return [{ CN: [name] }];
}

function validity(nowMs: number, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + lifetimeMs) };
}

async function generateKeys() {
  return await crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

async function importKey(pem: string) {
  const [bytes] = PemConverter.decode(pem);
  if (bytes === undefined) throw new TypeError('the key file holds no PEM block');
  return await crypto.subtle.importKey('pkcs8', bytes, KEY_ALGORITHM, false, ['sign']);
}

async function keyPemOf(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
