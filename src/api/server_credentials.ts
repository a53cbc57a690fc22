import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';

/** PEM files of one listener: the cluster's CA, which clients must come from, and the server's own identity. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const RELOAD_INTERVAL_MS = 1_000;

/**
 * Mutual TLS that follows its files: new connections get what the files held at most a second ago, open ones go on.
 * Files that do not fit each other (a rotation in progress) change nothing.
 */
export class ReloadingCredentials extends ServerCredentials {
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #current: SecureContextOptions;
  #cancelTimer: (() => void) | undefined;

  /** Reads the files at once; throws what the file system or TLS says when they cannot be used. */
  constructor(files: TlsFiles, dependencies: { clock: Clock; logger: Logger }) {
    const current = readSecureContext(files);
    super({ requestCert: true, rejectUnauthorized: true }, current);
    this.#files = files;
    this.#current = current;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
  }

  start(): void {
    this.#cancelTimer = this.#clock.schedule(RELOAD_INTERVAL_MS, () => {
      this.#reload();
      this.start();
    });
  }

  stop(): void {
    this.#cancelTimer?.();
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  #reload(): void {
    try {
      const next = readSecureContext(this.#files);
      if (sameContext(next, this.#current)) return;
      this.#current = next;
      this.updateSecureContextOptions(next);
      this.#logger.info({ ...this.#files }, 'api.certificates_reloaded');
    } catch (thrown) {
      this.#logger.warn({ ...this.#files, error: errorText(thrown) }, 'api.certificates_kept');
    }
  }
}

function readSecureContext(files: TlsFiles): SecureContextOptions {
  const context: SecureContextOptions = {
    ca: readFileSync(files.caFile),
    cert: readFileSync(files.certificateFile),
    key: readFileSync(files.keyFile),
    minVersion: 'TLSv1.3',
  };
  // Throws when the key does not belong to the certificate.
  createSecureContext(context);
  return context;
}

function sameContext(left: SecureContextOptions, right: SecureContextOptions): boolean {
  return (['ca', 'cert', 'key'] as const).every(
    (part) => String(left[part]) === String(right[part]),
  );
}
