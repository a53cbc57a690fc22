import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Clock, Logger } from './environment.ts';
import { CodedError, errorText } from './error.ts';

/** Paths of the three PEM files that one holder of a certificate needs: whom it trusts, and its own identity. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** What the files held, in the form that `createSecureContext` and a TLS server take. */
export interface TlsParts {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: 'TLSv1.3';
}

/** A file cannot be read, or the three do not fit each other. */
export class TlsFilesError extends CodedError<'UNREADABLE' | 'MISFIT'> {}

export interface FollowedTlsFilesOptions {
  readonly files: TlsFiles;
  /** Begins the names of the events that are logged, for example `api`. */
  readonly eventPrefix: string;
  /** Throws when parts that fit each other are not to be used all the same. */
  readonly check?: (parts: TlsParts) => void;
}

const RELOAD_INTERVAL_MS = 500;
const OPEN_ATTEMPTS_MAX = 3;
const OPEN_RETRY_MS = 50;

/**
 * A TLS identity as its files hold it now: looked at twice a second, since rotation replaces them at any time. Files
 * that do not fit each other (a rotation in progress) or fail the check change nothing, and the log says so once.
 */
export class FollowedTlsFiles {
  readonly #options: FollowedTlsFilesOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners: ((parts: TlsParts) => void)[] = [];
  #parts: TlsParts;
  /** Why the files were refused when last looked at. */
  #refusal: string | undefined;
  #cancelTimer = (): void => {};
  #isStopped = false;

  /** Reads the files and begins to follow them. Rejects with a TlsFilesError, or with what the check throws. */
  static async open(
    options: FollowedTlsFilesOptions,
    dependencies: { clock: Clock; logger: Logger },
  ): Promise<FollowedTlsFiles> {
    const parts = await firstParts(options, dependencies.clock);
    const followed = new FollowedTlsFiles(options, { ...dependencies, parts });
    followed.#schedule();
    return followed;
  }

  private constructor(
    options: FollowedTlsFilesOptions,
    dependencies: { clock: Clock; logger: Logger; parts: TlsParts },
  ) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#parts = dependencies.parts;
  }

  /** For new connections; what replaces them goes to the listeners. */
  get parts(): TlsParts {
    return this.#parts;
  }

  onChange(listener: (parts: TlsParts) => void): void {
    this.#listeners.push(listener);
  }

  /** After this nothing changes any more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer();
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#cancelTimer = this.#clock.schedule(RELOAD_INTERVAL_MS, () => {
      void this.#reload().then(() => this.#schedule());
    });
  }

  async #reload(): Promise<void> {
    const { files, eventPrefix } = this.#options;
    try {
      const parts = await readParts(files);
      if (this.#isStopped) return;
      if (!areSame(parts, this.#parts)) {
        checkParts(parts, this.#options);
        this.#parts = parts;
        for (const listener of this.#listeners) listener(parts);
        this.#logger.info({ ...files }, `${eventPrefix}.certificates_reloaded`);
      }
      this.#refusal = undefined;
    } catch (thrown) {
      const refusal = errorText(thrown);
      if (this.#isStopped || refusal === this.#refusal) return;
      this.#refusal = refusal;
      this.#logger.warn({ ...files, reason: refusal }, `${eventPrefix}.certificates_kept`);
    }
  }
}

/** A rotation replaces one file after the other: what does not fit at this moment may fit in the next. */
async function firstParts(options: FollowedTlsFilesOptions, clock: Clock): Promise<TlsParts> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const parts = await readParts(options.files);
      checkParts(parts, options);
      return parts;
    } catch (thrown) {
      const isMisfit = thrown instanceof TlsFilesError && thrown.code === 'MISFIT';
      if (!isMisfit || attempt === OPEN_ATTEMPTS_MAX) throw thrown;
      await new Promise<void>((resolve) => {
        clock.schedule(OPEN_RETRY_MS, resolve);
      });
    }
  }
}

/** One file after the other, so that the same missing file is named each time. */
async function readParts({ caFile, certificateFile, keyFile }: TlsFiles): Promise<TlsParts> {
  try {
    const ca = await readFile(caFile);
    const cert = await readFile(certificateFile);
    const key = await readFile(keyFile);
    return { ca, cert, key, minVersion: 'TLSv1.3' };
  } catch (thrown) {
    throw new TlsFilesError('UNREADABLE', `cannot read the PEM files: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}

function checkParts(parts: TlsParts, { files, check }: FollowedTlsFilesOptions): void {
  try {
    // Throws when the key does not belong to the certificate.
    createSecureContext(parts);
  } catch (thrown) {
    const { caFile, certificateFile, keyFile } = files;
    throw new TlsFilesError(
      'MISFIT',
      `${caFile}, ${certificateFile} and ${keyFile} do not fit together: ${errorText(thrown)}`,
      { fields: { certificateFile }, cause: thrown },
    );
  }
  check?.(parts);
}

function areSame(left: TlsParts, right: TlsParts): boolean {
  return left.ca.equals(right.ca) && left.cert.equals(right.cert) && left.key.equals(right.key);
}
