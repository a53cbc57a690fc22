import { dirname, join } from 'node:path';
import type { FileSystem, WalFile, WalReader } from '../../../src/wal/file_system.ts';

export const SECTOR_BYTES = 512;

interface Content {
  /** What a running process reads. */
  bytes: Uint8Array;
  /** What is surely on the disk. */
  durable: Uint8Array;
  /** Writes since the last sync, in order. */
  pending: { position: number; bytes: Uint8Array }[];
}

type NameChange =
  | { kind: 'link'; path: string; content: Content }
  | { kind: 'unlink'; path: string };

export class SystemError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`${code}: simulated`);
    this.code = code;
  }
}

/**
 * A disk in memory that can lose power. Written sectors reach it in any order until their file is
 * synced; changed names reach it in order until their folder is synced.
 */
export class SimulatedFileSystem implements FileSystem {
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #nameChanges: NameChange[] = [];
  /** Number of the crash: handles of an earlier life are dead. */
  #life = 0;
  /** Bytes that may be in files at all. */
  capacityBytes = Number.POSITIVE_INFINITY;
  syncCount = 0;
  directorySyncCount = 0;
  writeCount = 0;
  /**
   * Called before each operation that changes something; what it throws is the operation's
   * failure.
   */
  onOperation: (operation: string, path: string) => void = () => undefined;
  /** Awaited before a sync takes effect. */
  onSync: (path: string) => Promise<void> = async () => undefined;

  async createDirectory(): Promise<void> {}

  async list(directory: string): Promise<string[]> {
    const names: string[] = [];
    for (const path of this.#names.keys())
      if (dirname(path) === directory) names.push(path.slice(directory.length + 1));
    return names;
  }

  async open(path: string, mode: 'create' | 'existing'): Promise<WalFile> {
    let content = this.#names.get(path);
    if (mode === 'create') {
      this.onOperation('create', path);
      content = { bytes: new Uint8Array(0), durable: new Uint8Array(0), pending: [] };
      this.#change({ kind: 'link', path, content });
    }
    if (content === undefined) throw new SystemError('ENOENT');
    return this.#file(path, content);
  }

  openReader(path: string): WalReader {
    const content = this.#names.get(path);
    if (content === undefined) throw new SystemError('ENOENT');
    return {
      sizeBytes: () => content.bytes.length,
      read: (target, position) => readContent(content, target, position),
      close: () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.onOperation('rename', from);
    const content = this.#names.get(from);
    if (content === undefined) throw new SystemError('ENOENT');
    this.#change({ kind: 'link', path: to, content });
    this.#change({ kind: 'unlink', path: from });
  }

  async remove(path: string): Promise<void> {
    this.onOperation('remove', path);
    this.#change({ kind: 'unlink', path });
  }

  async syncDirectory(path: string): Promise<void> {
    this.onOperation('syncDirectory', path);
    this.directorySyncCount += 1;
    for (const change of this.#nameChanges) applyChange(this.#durableNames, change);
    this.#nameChanges = [];
  }

  #change(change: NameChange): void {
    applyChange(this.#names, change);
    this.#nameChanges.push(change);
  }

  #file(path: string, content: Content): WalFile {
    const life = this.#life;
    const begin = (operation: string): void => {
      if (life !== this.#life) throw new SystemError('EBADF');
      this.onOperation(operation, path);
    };
    return {
      sizeBytes: async () => content.bytes.length,
      read: async (target, position) => readContent(content, target, position),
      write: async (source, position) => {
        begin('write');
        this.writeCount += 1;
        this.#reserve(content, position + source.length);
        content.bytes.set(source, position);
        content.pending.push({ position, bytes: source.slice() });
      },
      preallocate: async (sizeBytes) => {
        begin('preallocate');
        this.#reserve(content, sizeBytes);
      },
      fdatasync: async () => {
        begin('fdatasync');
        const covered = content.pending.length;
        const bytes = content.bytes.slice();
        await this.onSync(path);
        if (life !== this.#life) throw new SystemError('EBADF');
        this.syncCount += 1;
        content.durable = bytes;
        content.pending.splice(0, covered);
      },
      close: async () => {},
    };
  }

  #reserve(content: Content, sizeBytes: number): void {
    if (sizeBytes <= content.bytes.length) return;
    let used = sizeBytes - content.bytes.length;
    for (const other of new Set(this.#names.values())) used += other.bytes.length;
    if (used > this.capacityBytes) throw new SystemError('ENOSPC');
    content.bytes = grown(content.bytes, sizeBytes);
  }

  /**
   * The power fails: of each sector written but not synced, the predicate decides whether it
   * arrived; of the changed names, the first `namesKept` arrived.
   */
  crash(keep: (sector: number) => boolean, namesKept = 0): void {
    this.#life += 1;
    for (const change of this.#nameChanges.slice(0, namesKept))
      applyChange(this.#durableNames, change);
    this.#nameChanges = [];
    for (const content of new Set(this.#durableNames.values())) {
      const bytes = content.durable.slice();
      for (const write of content.pending) keepSectors(bytes, write, keep);
      content.bytes = bytes;
      content.durable = bytes.slice();
      content.pending = [];
    }
    this.#names = new Map(this.#durableNames);
  }

  get pendingNameChanges(): number {
    return this.#nameChanges.length;
  }

  /** The process dies, the machine lives on. */
  kill(): void {
    this.#life += 1;
  }

  /** Changes what is on the disk, behind the back of everybody. */
  tamper(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const content = this.#names.get(path);
    if (content === undefined) throw new SystemError('ENOENT');
    content.bytes = change(content.bytes.slice());
    content.durable = content.bytes.slice();
    content.pending = [];
  }

  /** A disk of its own with everything that is in files now. */
  clone(): SimulatedFileSystem {
    const copy = new SimulatedFileSystem();
    for (const [path, { bytes }] of this.#names) {
      const content = { bytes: bytes.slice(), durable: bytes.slice(), pending: [] };
      copy.#names.set(path, content);
      copy.#durableNames.set(path, content);
    }
    return copy;
  }

  bytesOf(directory: string, name: string): Uint8Array {
    const content = this.#names.get(join(directory, name));
    if (content === undefined) throw new SystemError('ENOENT');
    return content.bytes.slice();
  }

  removeBehindTheBack(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }
}

function applyChange(names: Map<string, Content>, change: NameChange): void {
  if (change.kind === 'link') names.set(change.path, change.content);
  else names.delete(change.path);
}

function readContent(content: Content, target: Uint8Array, position: number): number {
  const found = content.bytes.subarray(position, position + target.length);
  target.set(found);
  return found.length;
}

function keepSectors(
  disk: Uint8Array,
  write: { position: number; bytes: Uint8Array },
  keep: (sector: number) => boolean,
): void {
  const end = write.position + write.bytes.length;
  for (let from = write.position; from < end; ) {
    const to = Math.min(end, from + SECTOR_BYTES - (from % SECTOR_BYTES));
    if (to <= disk.length && keep(Math.floor(from / SECTOR_BYTES)))
      disk.set(write.bytes.subarray(from - write.position, to - write.position), from);
    from = to;
  }
}

function grown(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const longer = new Uint8Array(sizeBytes);
  longer.set(bytes);
  return longer;
}
