import { utf8 } from '../lib/bytes.ts';
import { WriteBatch } from '../storage/write_batch.ts';

interface MarkStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  write(batch: WriteBatch): Promise<void>;
  flush(): Promise<void>;
}

/** A mark of an earlier life of this member; undefined when there is none. */
export async function storedMark(key: Uint8Array, store: MarkStore): Promise<string | undefined> {
  const text = await store.get(key);
  return text === undefined ? undefined : new TextDecoder().decode(text);
}

/** Resolves once the mark outlasts a loss of power: no log brings it back. */
export async function storeMark(key: Uint8Array, text: string, store: MarkStore): Promise<void> {
  const batch = new WriteBatch();
  batch.put(key, utf8(text));
  await store.write(batch);
  await store.flush();
}
