import { concatBytes, uint64Bytes, utf8 } from '../../../src/lib/bytes.ts';
import { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';

/**
 * Writes batches into the database in the folder of the first argument until it is killed, and
 * prints the number of each that has finished. Batch n sets "applied" and 50 slots to n and adds
 * the key "n" + n.
 */
const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: batch_writer.ts DIRECTORY');
const database = await Database.open({ directory });
const applied = await database.get(utf8('applied'));
for (let index = 1 + Number(Buffer.from(applied ?? utf8('0')).toString()); ; index += 1) {
  const batch = new WriteBatch();
  batch.put(utf8('applied'), utf8(String(index)));
  for (let slot = 0; slot < 50; slot += 1) batch.put(utf8(`slot${slot}`), uint64Bytes(index));
  batch.put(concatBytes(utf8('n'), uint64Bytes(index)), new Uint8Array(2000));
  await database.write(batch);
  process.stdout.write(`${index}\n`);
}
