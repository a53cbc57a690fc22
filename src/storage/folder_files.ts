import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What the layout of a data folder needs of a disk. Every method rejects with the system's error. */
export interface FolderFiles {
  /** Makes the folder and its parents; an existing one is fine. */
  makeFolder(path: string): Promise<void>;
  /** Names in the folder, in any order; none when there is no folder. */
  list(path: string): Promise<string[]>;
  /** Undefined when there is no such file. */
  readText(path: string): Promise<string | undefined>;
  /** The content is durable when this resolves, the name is not. */
  writeText(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a folder with all that it holds; one that is absent is fine. */
  removeTree(path: string): Promise<void>;
  /** Makes names that were created, renamed or removed in the folder durable. */
  syncFolder(path: string): Promise<void>;
}

/** The real disk. */
export const nodeFolderFiles: FolderFiles = {
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true });
  },
  list: (path) => readdir(path).catch((thrown) => absent(thrown, [])),
  readText: (path) => readFile(path, 'utf8').catch((thrown) => absent(thrown, undefined)),
  writeText: async (path, text) => {
    const file = await open(path, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename: (from, to) => rename(from, to),
  removeTree: (path) => rm(path, { recursive: true, force: true }),
  syncFolder: async (path) => {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};

/** The file has all of its content or does not exist, whenever the power fails. */
export async function writeWhole(
  options: { directory: string; name: string; text: string },
  files: FolderFiles,
): Promise<void> {
  const path = join(options.directory, options.name);
  await files.writeText(`${path}.tmp`, options.text);
  await files.rename(`${path}.tmp`, path);
  await files.syncFolder(options.directory);
}

function absent<Value>(thrown: unknown, value: Value): Value {
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return value;
  throw thrown;
}
