import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';

/** PEM files of one listener: the CAs that clients must come from, and the server's own identity. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

interface SecureContextParts {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: 'TLSv1.3';
}

const RELOAD_INTERVAL_MS = 500;

/**
 * Mutual TLS that follows its files: new connections get what the files held half a second ago, open ones go on. Files
 * that do not fit each other (a rotation in progress) change nothing.
 */
export class ReloadingCredentials extends ServerCredentials {
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #current: SecureContextParts;
  /** Why the files were last refused, so that it is said once. */
  #refusal = '';
  #cancelTimer = (): void => {};
  #isStopped = false;

  /** Reads the files and begins to follow them; rejects with what the file system or TLS says against them. */
  static async open(
    files: TlsFiles,
    dependencies: { clock: Clock; logger: Logger },
  ): Promise<ReloadingCredentials> {
    const credentials = new ReloadingCredentials(files, dependencies, await readParts(files));
    credentials.#schedule();
    return credentials;
  }

  private constructor(
    files: TlsFiles,
    dependencies: { clock: Clock; logger: Logger },
    current: SecureContextParts,
  ) {
    super({ requestCert: true, rejectUnauthorized: true }, current);
    this.#files = files;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#current = current;
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  #schedule(): void {
    this.#cancelTimer = this.#clock.schedule(RELOAD_INTERVAL_MS, () => {
      this.#reload().then(() => {
        if (!this.#isStopped) this.#schedule();
      });
    });
  }

  async #reload(): Promise<void> {
    try {
      const next = await readParts(this.#files);
      this.#refusal = '';
      if (this.#isStopped || sameParts(next, this.#current)) return;
      this.#current = next;
      this.updateSecureContextOptions(next);
      this.#logger.info({ ...this.#files }, 'api.certificates_reloaded');
    } catch (thrown) {
      const refusal = errorText(thrown);
      if (refusal === this.#refusal) return;
      this.#refusal = refusal;
      this.#logger.warn({ ...this.#files, error: refusal }, 'api.certificates_kept');
    }
  }
}

async function readParts(files: TlsFiles): Promise<SecureContextParts> {
  const ca = await readFile(files.caFile);
  const cert = await readFile(files.certificateFile);
  const key = await readFile(files.keyFile);
  const parts: SecureContextParts = { ca, cert, key, minVersion: 'TLSv1.3' };
  // Throws when the key does not belong to the certificate.
  createSecureContext(parts);
  return parts;
}

function sameParts(left: SecureContextParts, right: SecureContextParts): boolean {
  return left.ca.equals(right.ca) && left.cert.equals(right.cert) && left.key.equals(right.key);
}
