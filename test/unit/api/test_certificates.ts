import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import {
  issueCertificate,
  type KeyedCertificate,
  makeAuthority,
} from '../../../src/cli/certificates.ts';
import type { TlsFiles } from '../../../src/lib/tls_files.ts';
import type { CertificateRole } from '../../../src/types/certificate_identity.ts';

/** A cluster CA as `blockraft init` makes it, for one test. */
export class TestAuthority {
  readonly #authority: KeyedCertificate;

  private constructor(authority: KeyedCertificate) {
    this.#authority = authority;
  }

  static async create(): Promise<TestAuthority> {
    return new TestAuthority(await makeAuthority({ clusterId: 'lab', nowMs: Date.now() }));
  }

  get pem(): string {
    return this.#authority.certificatePem;
  }

  issue(role: CertificateRole, name: string, clusterId = 'lab'): Promise<KeyedCertificate> {
    return issueCertificate({
      authority: this.#authority,
      identity: { clusterId, role, name },
      hosts: ['127.0.0.1'],
      nowMs: Date.now(),
    });
  }

  /** What a client presents that trusts this authority; no certificate of its own when left out. */
  clientCredentials(identity?: KeyedCertificate): ChannelCredentials {
    return credentials.createSsl(
      Buffer.from(this.pem),
      identity === undefined ? null : Buffer.from(identity.keyPem),
      identity === undefined ? null : Buffer.from(identity.certificatePem),
    );
  }
}

/** Writes the files of a server into a folder that goes with the test. */
export function writeTlsFiles(authority: TestAuthority, identity: KeyedCertificate): TlsFiles {
  const folder = mkdtempSync(join(tmpdir(), 'blockraft-api-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const files = {
    caFile: join(folder, 'ca.pem'),
    certificateFile: join(folder, 'member-1.pem'),
    keyFile: join(folder, 'member-1.key.pem'),
  };
  replaceTlsFiles(files, authority, identity);
  return files;
}

/** Replaces each file atomically, as a rotation does. */
export function replaceTlsFiles(
  files: TlsFiles,
  authority: TestAuthority,
  identity: KeyedCertificate,
): void {
  for (const [path, text] of [
    [files.caFile, authority.pem],
    [files.certificateFile, identity.certificatePem],
    [files.keyFile, identity.keyPem],
  ] as const) {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}
