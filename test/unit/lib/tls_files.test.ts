import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  issueCertificate,
  type KeyedCertificate,
  makeAuthority,
} from '../../../src/cli/certificates.ts';
import type { Clock, Logger } from '../../../src/lib/environment.ts';
import { FollowedTlsFiles, type TlsFiles, type TlsParts } from '../../../src/lib/tls_files.ts';

/** Time passes when the test says so: `tick` runs the timer and resolves when the next one is set. */
class SteppedClock implements Clock {
  readonly delaysMs: number[] = [];
  #callback: (() => void) | undefined;
  #scheduled = (): void => {};

  monotonicMs = (): number => 0;
  wallMs = (): number => 0;

  get isScheduled(): boolean {
    return this.#callback !== undefined;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.delaysMs.push(delayMs);
    this.#callback = callback;
    this.#scheduled();
    return () => {
      this.#callback = undefined;
    };
  }

  async untilScheduled(): Promise<void> {
    while (!this.isScheduled) await new Promise(setImmediate);
  }

  tick(): Promise<void> {
    const callback = this.#callback;
    this.#callback = undefined;
    return new Promise((resolve) => {
      this.#scheduled = resolve;
      callback?.();
    });
  }
}

let folder: string;
let files: TlsFiles;
let authority: KeyedCertificate;
let clock: SteppedClock;
let events: { event: string; fields: Record<string, unknown> }[];
let logger: Logger;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blockraft-tls-'));
  files = {
    caFile: join(folder, 'ca.pem'),
    certificateFile: join(folder, 'member-1.pem'),
    keyFile: join(folder, 'member-1.key.pem'),
  };
  authority = await makeAuthority({ clusterId: 'test', nowMs: Date.now() });
  await write(files.caFile, authority.certificatePem);
  await writeIdentity(await issue());
  clock = new SteppedClock();
  events = [];
  const log = (fields: object, event: string): void => {
    events.push({ event, fields: { ...fields } });
  };
  logger = { debug: log, info: log, warn: log, error: log };
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function issue(): Promise<KeyedCertificate> {
  return issueCertificate({
    authority,
    identity: { clusterId: 'test', role: 'member', name: '1' },
    hosts: ['127.0.0.1'],
    nowMs: Date.now(),
  });
}

async function write(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function writeIdentity({ certificatePem, keyPem }: KeyedCertificate): Promise<void> {
  await write(files.certificateFile, certificatePem);
  await write(files.keyFile, keyPem);
}

function open(check?: (parts: TlsParts) => void): Promise<FollowedTlsFiles> {
  return FollowedTlsFiles.open(
    { files, eventPrefix: 'test', ...(check === undefined ? {} : { check }) },
    { clock, logger },
  );
}

describe('opening', () => {
  test('reads what the files hold, and demands TLS 1.3', async () => {
    const { parts } = await open();
    expect(parts.ca.toString()).toBe(authority.certificatePem);
    expect(parts.minVersion).toBe('TLSv1.3');
  });

  test('names the file that is missing', async () => {
    await rm(files.keyFile);
    await expect(open()).rejects.toMatchObject({
      code: 'UNREADABLE',
      message: expect.stringContaining(files.keyFile),
    });
    expect(clock.isScheduled).toBe(false);
  });

  test('refuses a key of another certificate', async () => {
    await write(files.keyFile, (await issue()).keyPem);
    const opening = expect(open()).rejects.toMatchObject({
      code: 'MISFIT',
      fields: { certificateFile: files.certificateFile },
      message: expect.stringContaining('do not fit together'),
    });
    await clock.untilScheduled();
    await clock.tick();
    void clock.tick();
    await opening;
  });

  test('looks again when it opens in the middle of a rotation', async () => {
    const next = await issue();
    await write(files.keyFile, next.keyPem);
    const opening = open();
    await clock.untilScheduled();
    await write(files.certificateFile, next.certificatePem);
    await clock.tick();
    expect((await opening).parts.key.toString()).toBe(next.keyPem);
  });

  test('passes on what the check throws', async () => {
    const problem = new Error('of somebody else');
    await expect(
      open(() => {
        throw problem;
      }),
    ).rejects.toBe(problem);
  });
});

describe('following', () => {
  test('looks twice a second and tells of a change once', async () => {
    const followed = await open();
    const told: TlsParts[] = [];
    followed.onChange((parts) => told.push(parts));
    await clock.tick();
    expect(told).toEqual([]);
    const next = await issue();
    await writeIdentity(next);
    await clock.tick();
    await clock.tick();
    expect(told).toEqual([followed.parts]);
    expect(followed.parts.cert.toString()).toBe(next.certificatePem);
    expect(events).toEqual([{ event: 'test.certificates_reloaded', fields: files }]);
    expect(clock.delaysMs).toEqual([500, 500, 500, 500]);
  });

  test('keeps the old parts and says each reason once, until the files are right again', async () => {
    const followed = await open();
    const { parts } = followed;
    const told: TlsParts[] = [];
    followed.onChange((changed) => told.push(changed));
    const next = await issue();
    const reasons = (): string[] => events.map(({ fields }) => String(fields.reason));
    await write(files.certificateFile, next.certificatePem);
    await clock.tick();
    await clock.tick();
    expect(reasons()).toEqual([expect.stringContaining('do not fit together')]);
    await rm(files.keyFile);
    await clock.tick();
    await clock.tick();
    expect(reasons().slice(1)).toEqual([expect.stringContaining('ENOENT')]);
    expect(followed.parts).toBe(parts);
    expect(told).toEqual([]);
    await write(files.keyFile, next.keyPem);
    await clock.tick();
    expect(told).toEqual([followed.parts]);
    await rm(files.keyFile);
    await clock.tick();
    expect(events.map(({ event }) => event)).toEqual([
      'test.certificates_kept',
      'test.certificates_kept',
      'test.certificates_reloaded',
      'test.certificates_kept',
    ]);
  });

  test('refuses what fails the check', async () => {
    const first = (await open()).parts.cert;
    const followed = await open(({ cert }) => {
      if (!cert.equals(first)) throw new Error('of somebody else');
    });
    await writeIdentity(await issue());
    await clock.tick();
    expect(followed.parts.cert).toEqual(first);
    expect(events).toEqual([
      { event: 'test.certificates_kept', fields: { ...files, reason: 'of somebody else' } },
    ]);
  });

  test('ends with stop, also when a listener calls it', async () => {
    const waiting = await open();
    waiting.stop();
    expect(clock.isScheduled).toBe(false);

    const reading = await open();
    await writeIdentity(await issue());
    await new Promise<void>((resolve) => {
      reading.onChange(() => {
        reading.stop();
        resolve();
      });
      void clock.tick();
    });
    // What still follows the change is done before the event loop turns.
    await new Promise((resolve) => setImmediate(resolve));
    expect(clock.isScheduled).toBe(false);
  });
});
