import { open } from 'node:fs/promises';
import { join } from 'node:path';

const FILE_BYTES = 4 * 1024 * 1024;
const WRITE_BYTES = 512;
const DURATION_MS = 1_000;

/** How many times a second the disk makes a small write durable: what every figure rests on. */
export async function syncsPerSecond(folder: string): Promise<number> {
  const file = await open(join(folder, 'disk-probe'), 'w+');
  try {
    await file.write(new Uint8Array(FILE_BYTES), 0, FILE_BYTES, 0);
    await file.sync();
    const piece = new Uint8Array(WRITE_BYTES).fill(1);
    const startMs = performance.now();
    let count = 0;
    while (performance.now() - startMs < DURATION_MS) {
      await file.write(piece, 0, WRITE_BYTES, (count * WRITE_BYTES) % FILE_BYTES);
      await file.datasync();
      count += 1;
    }
    return (count * 1000) / (performance.now() - startMs);
  } finally {
    await file.close();
  }
}
