import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Replaces a file in one step: whoever reads it, and whatever crashes, finds the old or the new text and nothing
 * between. Resolves when the new text is durable.
 */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.tmp`);
  try {
    // A leftover of the same process number would keep its old mode.
    await rm(temporary, { force: true });
    await withHandle(await open(temporary, 'wx', mode), async (handle) => {
      await handle.writeFile(text);
      await handle.sync();
    });
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncFolder(folder);
}

/** Writes a file that must not exist yet; resolves when it is durable. */
export async function createFile(path: string, text: string, mode: number): Promise<void> {
  await withHandle(await open(path, 'wx', mode), async (handle) => {
    await handle.writeFile(text);
    await handle.sync();
  });
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  await withHandle(await open(folder, 'r'), (handle) => handle.sync());
}

async function withHandle(
  handle: FileHandle,
  use: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}
