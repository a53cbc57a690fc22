/** Runs a task for each item, at most `countMax` of them at once; rejects with the first failure. */
export async function eachAtOnce<Item>(
  items: readonly Item[],
  countMax: number,
  task: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await task(items[index] as Item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(countMax, items.length) }, worker));
}
