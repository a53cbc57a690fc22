/**
 * What the log needs of a disk. A write is visible to reads at once but survives a power loss
 * only after `fdatasync` of its file; a created, renamed or removed name survives only after
 * `syncDirectory`. Every method rejects (or throws, where it is synchronous) with the system's
 * error, whose `code` is kept.
 */
export interface FileSystem {
  /** Makes the folder and its parents; an existing folder is fine. */
  createDirectory(path: string): Promise<void>;
  /** Names in the folder, in any order. */
  list(directory: string): Promise<string[]>;
  /** Opens for reading and writing. */
  open(path: string, mode: OpenMode): Promise<WalFile>;
  /** Opens for reading without waiting: reads of the log are synchronous. */
  openReader(path: string): WalReader;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

/**
 * `create` makes an empty file and empties one that exists. With `synchronous`, which opens one
 * that exists, a write is durable when it resolves, as if `fdatasync` had followed.
 */
export type OpenMode = 'create' | 'existing' | 'synchronous';

export interface WalFile {
  sizeBytes(): Promise<number>;
  /**
   * Fills the target from the position on; returns how many bytes there were before the end of
   * the file.
   */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of the source. */
  write(source: Uint8Array, position: number): Promise<void>;
  /**
   * Makes the file this long; what lies beyond its former end reads as zeros. The blocks are
   * really taken from the disk, so that a later write within the length neither fails for want of
   * room nor changes metadata.
   */
  preallocate(sizeBytes: number): Promise<void>;
  /** Makes every finished write of this file durable, and its length. */
  fdatasync(): Promise<void>;
  close(): Promise<void>;
}

export interface WalReader {
  sizeBytes(): number;
  /**
   * Fills the target from the position on; returns how many bytes there were before the end of
   * the file.
   */
  read(target: Uint8Array, position: number): number;
  close(): void;
}
