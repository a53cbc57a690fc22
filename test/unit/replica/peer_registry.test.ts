import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { PeerRegistry } from '../../../src/replica/peer_registry.ts';
import { Database } from '../../../src/storage/database.ts';

const folder = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'blockraft-peers-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

it('knows a member by its first data folder, also after a restart (scenario 63)', async () => {
  const directory = await temporaryDirectory();
  let database = await Database.open({ directory });
  const first = new PeerRegistry(database);
  expect(await first.isKnown(2, folder(1))).toBe(true);
  expect(await first.isKnown(2, folder(1))).toBe(true);
  expect(await first.isKnown(2, folder(9))).toBe(false);
  expect(await first.isKnown(3, folder(9))).toBe(true);
  await database.close();
  database = await Database.open({ directory });
  onTestFinished(() => database.close());
  const second = new PeerRegistry(database);
  expect(await second.isKnown(2, folder(9))).toBe(false);
  expect(await second.isKnown(2, folder(1))).toBe(true);
});

it('takes nobody for known before that is durable, whoever asks meanwhile', async () => {
  const events: string[] = [];
  let finish: () => void = () => undefined;
  const database = {
    get: async () => undefined,
    write: async () => undefined,
    flush: () =>
      new Promise<void>((resolve) => {
        finish = () => {
          events.push('durable');
          resolve();
        };
      }),
  };
  const registry = new PeerRegistry(database as unknown as Database);
  const answers = [1, 1].map(async (byte) => {
    events.push((await registry.isKnown(2, folder(byte))) ? 'known' : 'unknown');
  });
  await new Promise(setImmediate);
  expect(events).toEqual([]);
  finish();
  await Promise.all(answers);
  expect(events).toEqual(['durable', 'known', 'known']);
});
