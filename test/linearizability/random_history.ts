import type { History, Operation } from './history.ts';
import type { RegisterInput, RegisterOutput } from './register_model.ts';

/** Uniform in [0, 1). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

export interface HistoryShape {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  readonly values: number;
  /** Fraction of operations whose client never hears of the outcome. */
  readonly unknown: number;
}

/**
 * Operations that took effect one after another, each at a moment between its invocation and its
 * answer: linearizable by construction. What takes effect is decided before anybody knows whether
 * the client hears of it.
 */
export function sequentialHistory(
  shape: HistoryShape,
  random: Random,
): History<RegisterInput, RegisterOutput> {
  const values = new Map<string, number | null>();
  const freeAt = new Array<number>(shape.clients).fill(0);
  const history: RegisterOperation[] = [];
  let clientIds = shape.clients;
  const names = freeAt.map((_, index) => index);
  for (let moment = 1; moment <= shape.operations; moment += 1) {
    const at = moment * 10;
    const idle = freeAt.flatMap((free, slot) => (free < at ? [slot] : []));
    if (idle.length === 0) continue;
    const slot = idle[Math.floor(random() * idle.length)] as number;
    const invokedAt = Math.max((freeAt[slot] as number) + 1, at - Math.floor(random() * 60));
    const endedAt = at + Math.floor(random() * 60);
    const input = randomInput(shape, random);
    const isUnknown = random() < shape.unknown;
    const happens = !isUnknown || random() < 0.5;
    const output = happens ? execute(values, input) : null;
    const client = names[slot] as number;
    history.push({
      client,
      input,
      invokedAt,
      result: isUnknown ? undefined : { at: endedAt, output },
    });
    freeAt[slot] = endedAt;
    // A client whose operation has no answer is gone; another takes its place.
    if (isUnknown) names[slot] = clientIds++;
  }
  return history;
}

/** Changes one answer or one interval: the result may or may not still be linearizable. */
export function mutated(
  history: History<RegisterInput, RegisterOutput>,
  shape: HistoryShape,
  random: Random,
): History<RegisterInput, RegisterOutput> {
  const victim = Math.floor(random() * history.length);
  return history.map((operation, index) => {
    if (index !== victim || operation.result === undefined) return operation;
    const { at } = operation.result;
    if (random() < 0.3) return { ...operation, invokedAt: at - Math.floor(random() * 3) };
    if (random() < 0.2) return { ...operation, result: undefined };
    if (operation.input.kind === 'write')
      return { ...operation, input: { ...operation.input, value: randomValue(shape, random) } };
    const output =
      operation.input.kind === 'cas' ? !operation.result.output : randomValue(shape, random);
    return { ...operation, result: { at, output } };
  });
}

function execute(values: Map<string, number | null>, input: RegisterInput): RegisterOutput {
  const value = values.get(input.key) ?? null;
  if (input.kind === 'read') return value;
  if (input.kind === 'cas' && value !== input.expected) return false;
  values.set(input.key, input.value);
  return input.kind === 'cas' ? true : null;
}

function randomInput(shape: HistoryShape, random: Random): RegisterInput {
  const key = `r${Math.floor(random() * shape.keys)}`;
  const value = randomValue(shape, random);
  const dice = random();
  if (dice < 0.5) return { kind: 'read', key };
  if (dice < 0.8) return { kind: 'write', key, value };
  return { kind: 'cas', key, expected: randomValue(shape, random), value };
}

function randomValue(shape: HistoryShape, random: Random): number {
  return Math.floor(random() * shape.values);
}
