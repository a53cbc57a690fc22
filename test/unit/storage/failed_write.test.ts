import { expect, it } from 'vitest';
import { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';

/** A native database whose disk refuses as long as the test says so. */
class FailingNative {
  refuses = false;
  written = 0;

  write() {
    return {
      tryPut: () => undefined,
      flush: async () => {
        if (this.refuses) throw new Error('No space left on device');
        this.written += 1;
      },
    };
  }

  flush = async (): Promise<void> => {
    if (this.refuses) throw new Error('No space left on device');
  };
}

function makeDatabase() {
  const native = new FailingNative();
  const database = new Database({ directory: 'd' }, { native: native as never });
  const put = (): Promise<void> => {
    const batch = new WriteBatch();
    batch.put(Uint8Array.of(1), Uint8Array.of(2));
    return database.write(batch);
  };
  return { native, database, put };
}

it('refuses every write after one that failed, also when the disk has room again (scenario 76)', async () => {
  const { native, put } = makeDatabase();
  await put();
  native.refuses = true;
  await expect(put()).rejects.toMatchObject({ name: 'StorageError' });
  native.refuses = false;
  await expect(put()).rejects.toMatchObject({ name: 'StorageError' });
  expect(native.written).toBe(1);
});

it('refuses every write after a flush that failed: what it held may be gone (scenario 75)', async () => {
  const { native, database, put } = makeDatabase();
  native.refuses = true;
  await expect(database.flush()).rejects.toMatchObject({ name: 'StorageError' });
  native.refuses = false;
  await expect(put()).rejects.toMatchObject({ name: 'StorageError' });
  expect(native.written).toBe(0);
});
