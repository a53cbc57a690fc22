import type { Database } from '../../../src/storage/database.ts';
import type { FolderFiles } from '../../../src/storage/folder_files.ts';
import { nodeFolderFiles } from '../../../src/storage/folder_files.ts';
import type { FileSystem, WalFile } from '../../../src/wal/file_system.ts';
import { nodeFileSystem } from '../../../src/wal/node_file_system.ts';

/** Stands among what is not synced for the databases, whose files are their own. */
const DATABASE = 'database';

/** The process is dead: nothing that it does afterwards reaches the disk. */
export class Crash extends Error {}

/**
 * The real disk of a process that dies at one operation that changes it: before that one, or when it is half
 * done where it is a write. Also notes what would not survive a loss of power.
 */
export class FaultyDisk {
  readonly #crashAt: number;
  /** Operations so far. */
  count = 0;
  /** Files and folders changed since they were synced. */
  readonly unsynced = new Set<string>();
  readonly onRename: (to: string, unsynced: readonly string[]) => void;

  constructor(
    options: { crashAt?: number },
    dependencies: { onRename?: (to: string, unsynced: readonly string[]) => void } = {},
  ) {
    this.#crashAt = options.crashAt ?? Number.POSITIVE_INFINITY;
    this.onRename = dependencies.onRename ?? (() => undefined);
  }

  readonly files: FolderFiles = {
    ...nodeFolderFiles,
    makeFolder: (path) =>
      this.#do(() => nodeFolderFiles.makeFolder(path), [], [path, parent(path)]),
    writeText: (path, text) =>
      this.#do(
        () => nodeFolderFiles.writeText(path, text),
        [path],
        [parent(path)],
        () => nodeFolderFiles.writeText(path, text.slice(0, text.length >> 1)),
      ),
    rename: (from, to) => {
      this.onRename(to, [...this.unsynced]);
      return this.#do(() => nodeFolderFiles.rename(from, to), [], [parent(to)]);
    },
    removeTree: (path) => this.#do(() => nodeFolderFiles.removeTree(path), [], [parent(path)]),
    syncFolder: (path) => this.#do(() => nodeFolderFiles.syncFolder(path), [path], []),
  };

  readonly fileSystem: FileSystem = {
    ...nodeFileSystem,
    createDirectory: (path) =>
      this.#do(() => nodeFileSystem.createDirectory(path), [], [path, parent(path)]),
    open: async (path, mode) => {
      if (mode === 'create') {
        const opened = await this.#do(
          () => nodeFileSystem.open(path, mode),
          [],
          [path, parent(path)],
        );
        return this.#file(path, opened);
      }
      return this.#file(path, await nodeFileSystem.open(path, mode));
    },
    rename: (from, to) => {
      this.onRename(to, [...this.unsynced]);
      return this.#do(() => nodeFileSystem.rename(from, to), [from], [parent(to)]);
    },
    remove: (path) => this.#do(() => nodeFileSystem.remove(path), [path], [parent(path)]),
    syncDirectory: (path) => this.#do(() => nodeFileSystem.syncDirectory(path), [path], []),
  };

  /** Counts what changes the database; the lock ends with the process, so that closing always works. */
  database(opened: Database): Database {
    return new Proxy(opened, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        if (name === 'write')
          return (...args: unknown[]) => this.#do(() => value.apply(target, args), [], [DATABASE]);
        if (name === 'flush')
          return (...args: unknown[]) => this.#do(() => value.apply(target, args), [DATABASE], []);
        return value.bind(target);
      },
    });
  }

  #file(path: string, file: WalFile): WalFile {
    return {
      sizeBytes: () => file.sizeBytes(),
      read: (target, position) => file.read(target, position),
      write: (bytes, position) =>
        this.#do(
          () => file.write(bytes, position),
          [],
          [path],
          () => file.write(bytes.subarray(0, bytes.length >> 1), position),
        ),
      preallocate: (sizeBytes) => this.#do(() => file.preallocate(sizeBytes), [], [path]),
      fdatasync: () => this.#do(() => file.fdatasync(), [path], []),
      close: () => file.close(),
    };
  }

  async #do<Value>(
    act: () => Promise<Value>,
    synced: readonly string[],
    changed: readonly string[],
    half: () => Promise<unknown> = async () => undefined,
  ): Promise<Value> {
    this.count += 1;
    if (this.count === this.#crashAt) await half();
    if (this.count >= this.#crashAt) throw new Crash(`operation ${this.count}`);
    const result = await act();
    for (const path of synced) this.unsynced.delete(path);
    for (const path of changed) this.unsynced.add(path);
    return result;
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
