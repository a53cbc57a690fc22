import { basename, dirname, join } from 'node:path';
import type { FolderFiles } from '../../src/storage/folder_files.ts';
import type { FileSystem, WalFile } from '../../src/wal/file_system.ts';
import {
  SECTOR_BYTES,
  SimulatedFileSystem,
  SystemError,
} from '../unit/wal/simulated_file_system.ts';
import type { EventQueue } from './event_queue.ts';
import type { Life } from './life.ts';
import type { Dice } from './random.ts';

export interface DiskOptions {
  readonly fsyncMeanMs: number;
  /** Share of the other operations that take a moment, so that a crash can come between any two. */
  readonly pauseRate: number;
}

/** Data folder of the member that lives on a machine. */
export const MEMBER_FOLDER = '/member';

/** A sync that is held up looks again after this time whether the disk goes on. */
const STALL_LOOK_MS = 50;
const PAUSE_MEAN_MS = 0.5;

/** What a power failure leaves of what was not synced: a write may be whole, lost, or torn. */
const TORN_SHARES = [0, 0, 0.1, 0.5, 0.9, 1, 1];

/**
 * The disk of one machine: the simulated file system, the time that it takes, and everything that
 * can go wrong with it.
 */
export class SimDisk {
  readonly files = new SimulatedFileSystem();
  readonly #options: DiskOptions;
  readonly #events: EventQueue;
  readonly #dice: Dice;
  #stalledUntilMs = 0;
  #readsFail = false;
  /** Syncs and writes to come that fail, once. */
  #operationFails = false;
  /** Every folder that was ever made. */
  readonly #folders = new Set<string>();
  /** Where the last write into each file begins: what lies before it had been synced by then. */
  readonly #lastWrites = new Map<string, number>();
  /** A fault was injected that the running process may have met: it may end without being wrong. */
  troubled = false;

  constructor(options: DiskOptions, dependencies: { events: EventQueue; dice: Dice }) {
    this.#options = options;
    this.#events = dependencies.events;
    this.#dice = dependencies.dice;
    this.files.onOperation = (operation) => this.#begin(operation);
    this.files.onRead = () => this.#checkRead();
  }

  /** The files as a process uses them: nothing of what it asked for arrives after its life. */
  mount(life: Life): FileSystem {
    const { files } = this;
    const pause = () => this.#pause(life);
    files.onSync = () => this.#sync(life);
    return {
      createDirectory: (path) => this.#makeFolder(path),
      list: async (directory) => {
        await pause();
        return files.list(directory);
      },
      open: async (path, mode) => {
        await pause();
        return this.#file(await files.open(path, mode), path, pause);
      },
      openReader: (path) => files.openReader(path),
      rename: async (from, to) => {
        await pause();
        await files.rename(from, to);
      },
      remove: async (path) => {
        await pause();
        await files.remove(path);
      },
      syncDirectory: async (path) => {
        await pause();
        await files.syncDirectory(path);
      },
    };
  }

  /** The folders of the data folder, as a process uses them. */
  mountFolders(life: Life): FolderFiles {
    const { files } = this;
    const pause = () => this.#pause(life);
    const fileSystem = this.mount(life);
    return {
      makeFolder: async (path) => {
        await pause();
        await this.#makeFolder(path);
      },
      list: async (path) => {
        await pause();
        return files.list(path);
      },
      readText: async (path) => {
        this.#checkRead();
        const names = await files.list(dirname(path));
        if (!names.includes(basename(path))) return undefined;
        return Buffer.from(files.bytesOf(dirname(path), basename(path))).toString('utf8');
      },
      writeText: async (path, text) => {
        const file = await fileSystem.open(path, 'create');
        const bytes = Buffer.from(text);
        await file.preallocate(bytes.length);
        await file.write(bytes, 0);
        await file.fdatasync();
      },
      rename: (from, to) => fileSystem.rename(from, to),
      removeTree: async (path) => {
        await pause();
        await this.#removeTree(path);
      },
      syncFolder: (path) => fileSystem.syncDirectory(path),
    };
  }

  /** A folder is a name in the folder above it. */
  async #makeFolder(path: string): Promise<void> {
    this.#folders.add(path);
    const names = await this.files.list(dirname(path));
    if (!names.includes(basename(path))) await this.files.open(path, 'create');
  }

  async #removeTree(path: string): Promise<void> {
    for (const name of await this.files.list(path)) await this.#removeTree(join(path, name));
    const names = await this.files.list(dirname(path));
    if (names.includes(basename(path))) await this.files.remove(path);
  }

  /** A process starts: what it meets from now on is its own trouble. */
  beginLife(): void {
    if (!this.faulty) this.troubled = false;
  }

  /** What was in a folder whose own name a power failure took back is gone with it. */
  async settle(): Promise<void> {
    const { files } = this;
    for (const folder of this.#folders) {
      const names = await files.list(dirname(folder));
      if (names.includes(basename(folder))) continue;
      for (const name of await files.list(folder)) files.removeBehindTheBack(join(folder, name));
    }
  }

  /** The process dies; what it wrote is still in the cache of the machine. */
  kill(): void {
    this.files.kill();
  }

  /** The power fails. */
  crash(): void {
    const dice = this.#dice;
    const share = dice.pick(TORN_SHARES);
    const namesShare = dice.pick(TORN_SHARES);
    this.files.crash(
      () => dice.chance(share),
      () => dice.chance(namesShare),
    );
  }

  /** No sync ends before this time has passed. */
  stall(durationMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#events.nowMs + durationMs);
  }

  /** Nothing can be read until it is healed. */
  failReads(): void {
    this.#readsFail = true;
    this.troubled = true;
  }

  /** The next operation that changes something fails, once. */
  failOperation(): void {
    this.#operationFails = true;
    this.troubled = true;
  }

  /** No file can grow until it is healed. */
  fill(): void {
    this.files.capacityBytes = 0;
    this.troubled = true;
  }

  /** All of this is over, for what will be asked from now on. */
  heal(): void {
    this.#stalledUntilMs = 0;
    this.#readsFail = false;
    this.#operationFails = false;
    this.files.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** Whether operations fail now. */
  get faulty(): boolean {
    return (
      this.#readsFail || this.#operationFails || this.files.capacityBytes < Number.POSITIVE_INFINITY
    );
  }

  /**
   * Flips a bit of what had been synced in a folder.
   * @returns whether there was one
   */
  async flipBit(directory: string): Promise<boolean> {
    const { files } = this;
    const dice = this.#dice;
    const name = await this.#anyFile(directory);
    if (name === undefined) return false;
    const path = join(directory, name);
    const end = Math.min(files.syncedBytes(path), usedBytes(files.bytesOf(directory, name)));
    if (end === 0) return false;
    files.flip(path, dice.integer(0, end - 1), 1 << dice.integer(0, 7));
    return true;
  }

  /**
   * A write that was meant for another place has hit a sector that had been synced before the last
   * write. (A sector lost from the last write itself looks exactly as if power had failed: no log
   * can tell the two apart, so no simulation may ask for it.)
   * @returns whether there was one
   */
  async misdirectWrite(directory: string): Promise<boolean> {
    const dice = this.#dice;
    const name = await this.#anyFile(directory);
    const path = name === undefined ? '' : join(directory, name);
    const sectors = Math.floor((this.#lastWrites.get(path) ?? 0) / SECTOR_BYTES);
    if (sectors === 0) return false;
    const sector = dice.integer(0, sectors - 1);
    const source = dice.integer(0, sectors - 1);
    const kind = dice.pick(['zeros', 'another', 'noise'] as const);
    this.files.tamper(path, (bytes) => {
      const from = sector * SECTOR_BYTES;
      if (kind === 'another')
        bytes.copyWithin(from, source * SECTOR_BYTES, (source + 1) * SECTOR_BYTES);
      for (let at = from; kind !== 'another' && at < from + SECTOR_BYTES; at += 1)
        bytes[at] = kind === 'zeros' ? 0 : dice.integer(0, 255);
      return bytes;
    });
    return true;
  }

  async #anyFile(directory: string): Promise<string | undefined> {
    const names = (await this.files.list(directory)).sort();
    return names.length === 0 ? undefined : this.#dice.pick(names);
  }

  #file(file: WalFile, path: string, pause: () => Promise<void>): WalFile {
    return {
      sizeBytes: () => file.sizeBytes(),
      read: (target, position) => file.read(target, position),
      write: async (source, position) => {
        await pause();
        this.#lastWrites.set(path, position);
        await file.write(source, position);
      },
      preallocate: async (sizeBytes) => {
        await pause();
        await file.preallocate(sizeBytes);
      },
      fdatasync: () => file.fdatasync(),
      close: () => file.close(),
    };
  }

  #checkRead(): void {
    if (this.#readsFail) throw new SystemError('EIO');
  }

  #begin(operation: string): void {
    if (this.#operationFails && operation !== 'remove') {
      this.#operationFails = false;
      throw new SystemError('EIO');
    }
  }

  #pause(life: Life): Promise<void> {
    if (!this.#dice.chance(this.#options.pauseRate)) return Promise.resolve();
    return life.sleep(this.#dice.exponential(PAUSE_MEAN_MS));
  }

  async #sync(life: Life): Promise<void> {
    await life.sleep(this.#dice.exponential(this.#options.fsyncMeanMs));
    for (let leftMs = this.#stallMs(); leftMs > 0; leftMs = this.#stallMs())
      await life.sleep(Math.min(leftMs, STALL_LOOK_MS));
  }

  #stallMs(): number {
    return this.#stalledUntilMs - this.#events.nowMs;
  }
}

/** Where the bytes of a file end that are not zero. */
function usedBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
