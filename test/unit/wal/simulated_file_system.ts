import { dirname, join } from 'node:path';
import type { FileSystem, OpenMode, WalFile, WalReader } from '../../../src/wal/file_system.ts';

export const SECTOR_BYTES = 512;

interface PendingWrite {
  readonly position: number;
  /** What was written. */
  readonly bytes: Uint8Array;
  /** What it replaced. */
  readonly before: Uint8Array;
}

/**
 * One file. What is on the disk is the content with the pending writes undone, so that a sync only
 * forgets how to undo them and never copies the file.
 */
interface Content {
  /** What a running process reads is in the first `sizeBytes`; zeros follow. */
  bytes: Uint8Array;
  sizeBytes: number;
  /** Size that is surely on the disk. */
  durableSizeBytes: number;
  /** Writes since the last sync, in order. */
  pending: PendingWrite[];
}

/** One change of names: it reaches the disk as a whole or not at all. */
interface NameChange {
  readonly unlink: string | undefined;
  readonly link: { readonly path: string; readonly content: Content } | undefined;
}

export class SystemError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`${code}: simulated`);
    this.code = code;
  }
}

/**
 * A disk in memory that can lose power. Written sectors reach it in any order until their file is
 * synced; changed names reach it in any order until their folder is synced. Every operation takes
 * effect at once, without timers; only a sync waits, for `onSync`. Folders exist as soon as
 * something is in them.
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
  writeCount = 0;
  /**
   * Called before each operation that changes something; what it throws is the operation's
   * failure.
   */
  onOperation: (operation: string, path: string) => void = () => undefined;
  /** Called before each read; what it throws is the read's failure. */
  onRead: (path: string) => void = () => undefined;
  /** Awaited before a sync takes effect. */
  onSync: (path: string) => Promise<void> = async () => undefined;
  /** Where in its file a write really goes, for disks that miss; it must fit there. */
  onPosition: (
    path: string,
    position: number,
    sizes: { lengthBytes: number; fileBytes: number },
  ) => number = (_, position) => position;

  async createDirectory(): Promise<void> {}

  async list(directory: string): Promise<string[]> {
    const names: string[] = [];
    for (const path of this.#names.keys())
      if (dirname(path) === directory) names.push(path.slice(directory.length + 1));
    return names;
  }

  async open(path: string, mode: OpenMode): Promise<WalFile> {
    let content = this.#names.get(path);
    if (mode === 'create') {
      this.onOperation('create', path);
      content = { bytes: new Uint8Array(0), sizeBytes: 0, durableSizeBytes: 0, pending: [] };
      this.#change({ unlink: undefined, link: { path, content } });
    }
    if (content === undefined) throw new SystemError('ENOENT');
    return this.#file(path, content, mode);
  }

  openReader(path: string): WalReader {
    const content = this.#content(path);
    return {
      sizeBytes: () => content.sizeBytes,
      read: (target, position) => {
        this.onRead(path);
        return readContent(content, target, position);
      },
      close: () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.onOperation('rename', from);
    this.#change({ unlink: from, link: { path: to, content: this.#content(from) } });
  }

  async remove(path: string): Promise<void> {
    this.onOperation('remove', path);
    this.#change({ unlink: path, link: undefined });
  }

  async syncDirectory(path: string): Promise<void> {
    this.onOperation('syncDirectory', path);
    const later: NameChange[] = [];
    for (const change of this.#nameChanges) {
      if (folderOf(change) === path) applyChange(this.#durableNames, change);
      else later.push(change);
    }
    this.#nameChanges = later;
  }

  #change(change: NameChange): void {
    applyChange(this.#names, change);
    this.#nameChanges.push(change);
  }

  #content(path: string): Content {
    const content = this.#names.get(path);
    if (content === undefined) throw new SystemError('ENOENT');
    return content;
  }

  #file(path: string, content: Content, mode: OpenMode): WalFile {
    const life = this.#life;
    const begin = (operation: string): void => {
      if (life !== this.#life) throw new SystemError('EBADF');
      this.onOperation(operation, path);
    };
    const fdatasync = async (): Promise<void> => {
      begin('fdatasync');
      const covered = content.pending.length;
      const { sizeBytes } = content;
      await this.onSync(path);
      if (life !== this.#life) throw new SystemError('EBADF');
      this.syncCount += 1;
      content.durableSizeBytes = sizeBytes;
      content.pending.splice(0, covered);
    };
    return {
      sizeBytes: async () => content.sizeBytes,
      read: async (target, position) => {
        this.onRead(path);
        return readContent(content, target, position);
      },
      write: async (source, position) => {
        begin('write');
        this.writeCount += 1;
        this.#reserve(content, position + source.length);
        const sizes = { lengthBytes: source.length, fileBytes: content.sizeBytes };
        writeContent(content, source, this.onPosition(path, position, sizes));
        if (mode === 'synchronous') await fdatasync();
      },
      preallocate: async (sizeBytes) => {
        begin('preallocate');
        this.#reserve(content, sizeBytes);
      },
      fdatasync,
      close: async () => {},
    };
  }

  #reserve(content: Content, sizeBytes: number): void {
    if (sizeBytes <= content.sizeBytes) return;
    if (Number.isFinite(this.capacityBytes)) {
      const used = this.usedBytes + sizeBytes - content.sizeBytes;
      if (used > this.capacityBytes) throw new SystemError('ENOSPC');
    }
    if (sizeBytes > content.bytes.length) {
      const longer = new Uint8Array(Math.max(sizeBytes, 2 * content.bytes.length));
      longer.set(content.bytes);
      content.bytes = longer;
    }
    content.sizeBytes = sizeBytes;
  }

  /** Bytes of all files that have a name. */
  get usedBytes(): number {
    let used = 0;
    for (const { sizeBytes } of new Set(this.#names.values())) used += sizeBytes;
    return used;
  }

  /**
   * The power fails: of each sector written but not synced, the predicate decides whether it
   * arrived; of the changed names, the first `namesKept` arrived, or those that a predicate keeps.
   */
  crash(
    keep: (sector: number) => boolean,
    namesKept: number | ((change: number) => boolean) = 0,
  ): void {
    this.#life += 1;
    const keepName =
      typeof namesKept === 'number' ? (change: number) => change < namesKept : namesKept;
    for (const [at, change] of this.#nameChanges.entries())
      if (keepName(at)) applyChange(this.#durableNames, change);
    this.#nameChanges = [];
    for (const content of new Set(this.#durableNames.values())) {
      if (content.pending.length === 0 && content.sizeBytes === content.durableSizeBytes) continue;
      // Readers of the earlier life keep what they saw.
      const disk = content.bytes.slice(0, content.sizeBytes);
      for (const { position, before } of content.pending.toReversed()) disk.set(before, position);
      content.bytes = disk.slice(0, content.durableSizeBytes);
      content.sizeBytes = content.durableSizeBytes;
      for (const write of content.pending) keepSectors(content.bytes, write, keep);
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
    const content = this.#content(path);
    content.bytes = change(content.bytes.slice(0, content.sizeBytes));
    content.sizeBytes = content.bytes.length;
    content.durableSizeBytes = content.bytes.length;
    content.pending = [];
  }

  /** Flips bits of a byte, on the disk and for whoever reads it from now on. */
  flip(path: string, position: number, mask: number): void {
    const content = this.#content(path);
    content.bytes[position] = (content.bytes[position] ?? 0) ^ mask;
    for (const { position: start, before, bytes } of content.pending) {
      const at = position - start;
      if (at < 0 || at >= bytes.length) continue;
      before[at] = (before[at] ?? 0) ^ mask;
      bytes[at] = (bytes[at] ?? 0) ^ mask;
    }
  }

  /** Bytes from the start of the file that had been synced before its oldest write that is not. */
  syncedBytes(path: string): number {
    const { pending, durableSizeBytes } = this.#content(path);
    return Math.min(durableSizeBytes, ...pending.map(({ position }) => position));
  }

  /** A disk of its own with everything that is in files now. */
  clone(): SimulatedFileSystem {
    const copy = new SimulatedFileSystem();
    for (const [path, { bytes, sizeBytes }] of this.#names) {
      const content = {
        bytes: bytes.slice(0, sizeBytes),
        sizeBytes,
        durableSizeBytes: sizeBytes,
        pending: [],
      };
      copy.#names.set(path, content);
      copy.#durableNames.set(path, content);
    }
    return copy;
  }

  bytesOf(directory: string, name: string): Uint8Array {
    const { bytes, sizeBytes } = this.#content(join(directory, name));
    return bytes.slice(0, sizeBytes);
  }

  removeBehindTheBack(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }
}

function applyChange(names: Map<string, Content>, { unlink, link }: NameChange): void {
  if (link !== undefined) names.set(link.path, link.content);
  if (unlink !== undefined) names.delete(unlink);
}

/** Both names of a change are in one folder. */
function folderOf({ unlink, link }: NameChange): string {
  return dirname(link?.path ?? unlink ?? '');
}

function readContent(content: Content, target: Uint8Array, position: number): number {
  const end = Math.min(content.sizeBytes, position + target.length);
  if (end <= position) return 0;
  target.set(content.bytes.subarray(position, end));
  return end - position;
}

function writeContent(content: Content, source: Uint8Array, position: number): void {
  const bytes = source.slice();
  const before = content.bytes.slice(position, position + bytes.length);
  content.bytes.set(bytes, position);
  content.pending.push({ position, bytes, before });
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
