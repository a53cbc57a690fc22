import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { identityOfSubjectAltName, memberIdOf } from '../types/certificate_identity.ts';
import type { MemberId } from '../types/entry.ts';
import { ClusterError } from './cluster_error.ts';

/** PEM files of one member: the CAs that peers must come from, and its own identity. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

interface Pems {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

const RELOAD_INTERVAL_MS = 500;

/**
 * The certificates of this member, as its files hold them now: looked at twice a second, since rotation replaces
 * them at any time. Files that do not fit each other (a rotation in progress) or are somebody else's change nothing.
 */
export class Certificates {
  readonly #files: TlsFiles;
  readonly #owner: { readonly clusterId: string; readonly memberId: MemberId };
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners: ((options: SecureContextOptions) => void)[] = [];
  #pems: Pems;
  /** Bytes that were looked at and refused, so that they are reported once. */
  #refused: Pems | undefined;
  #cancelTimer: (() => void) | undefined;
  #isStopped = false;

  /** Reads the files and begins to follow them. Rejects with CERTIFICATES_UNUSABLE. */
  static async open(
    options: { files: TlsFiles; owner: { clusterId: string; memberId: MemberId } },
    dependencies: { clock: Clock; logger: Logger },
  ): Promise<Certificates> {
    const pems = await readPems(options.files);
    checkPems(pems, options);
    const certificates = new Certificates(options, dependencies, pems);
    certificates.#schedule();
    return certificates;
  }

  private constructor(
    options: { files: TlsFiles; owner: { clusterId: string; memberId: MemberId } },
    dependencies: { clock: Clock; logger: Logger },
    pems: Pems,
  ) {
    this.#files = options.files;
    this.#owner = options.owner;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#pems = pems;
  }

  /** For a server: the listener of `onChange` gets what replaces it. */
  get contextOptions(): SecureContextOptions {
    return contextOptionsOf(this.#pems);
  }

  /** For one new connection. */
  clientContext(): SecureContext {
    return createSecureContext(contextOptionsOf(this.#pems));
  }

  onChange(listener: (options: SecureContextOptions) => void): void {
    this.#listeners.push(listener);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#cancelTimer = this.#clock.schedule(RELOAD_INTERVAL_MS, () => {
      void this.#reload().then(() => this.#schedule());
    });
  }

  async #reload(): Promise<void> {
    let pems: Pems | undefined;
    try {
      pems = await readPems(this.#files);
      if (this.#isStopped || samePems(pems, this.#pems) || samePems(pems, this.#refused)) return;
      checkPems(pems, { files: this.#files, owner: this.#owner });
      this.#pems = pems;
      this.#refused = undefined;
      for (const listener of this.#listeners) listener(contextOptionsOf(pems));
      this.#logger.info({ ...this.#files }, 'cluster.certificates_reloaded');
    } catch (thrown) {
      this.#refused = pems;
      this.#logger.warn({ reason: errorText(thrown) }, 'cluster.certificates_kept');
    }
  }
}

async function readPems(files: TlsFiles): Promise<Pems> {
  try {
    const [ca, cert, key] = await Promise.all([
      readFile(files.caFile),
      readFile(files.certificateFile),
      readFile(files.keyFile),
    ]);
    return { ca, cert, key };
  } catch (thrown) {
    throw new ClusterError(
      'CERTIFICATES_UNUSABLE',
      `cannot read the member's certificates: ${errorText(thrown)}`,
      { cause: thrown },
    );
  }
}

function checkPems(
  pems: Pems,
  { files, owner }: { files: TlsFiles; owner: { clusterId: string; memberId: MemberId } },
): void {
  const unusable = (problem: string, cause?: unknown): ClusterError =>
    new ClusterError('CERTIFICATES_UNUSABLE', problem, {
      fields: { certificateFile: files.certificateFile },
      ...(cause === undefined ? {} : { cause }),
    });
  let subjectAltName: string | undefined;
  try {
    createSecureContext(contextOptionsOf(pems));
    subjectAltName = new X509Certificate(pems.cert).subjectAltName;
  } catch (thrown) {
    throw unusable(
      `${files.caFile}, ${files.certificateFile} and ${files.keyFile} do not fit together: ${errorText(thrown)}`,
      thrown,
    );
  }
  const identity = identityOfSubjectAltName(subjectAltName);
  if (identity?.clusterId === owner.clusterId && memberIdOf(identity) === owner.memberId) return;
  throw unusable(
    `${files.certificateFile} is not the certificate of member ${owner.memberId} of cluster ${owner.clusterId} (it names ${subjectAltName ?? 'nobody'})`,
  );
}

function contextOptionsOf(pems: Pems): SecureContextOptions {
  return { ...pems, minVersion: 'TLSv1.3' };
}

function samePems(left: Pems, right: Pems | undefined): boolean {
  if (right === undefined) return false;
  return left.ca.equals(right.ca) && left.cert.equals(right.cert) && left.key.equals(right.key);
}
