import { describeOperation, type History, type Model, type Operation } from './history.ts';

export type Verdict<Input, Output> =
  | {
      readonly outcome: 'linearizable';
      /** One order that explains the history, object after object. */
      readonly order: readonly Operation<Input, Output>[];
    }
  | Violation<Input, Output>
  /** The limit of states was reached before an answer was found; the text says where. */
  | { readonly outcome: 'undecided'; readonly text: string };

export interface Violation<Input, Output> {
  readonly outcome: 'violation';
  /** The history up to this operation's answer can be explained; with the answer it cannot. */
  readonly offending: Operation<Input, Output>;
  /** An order that explains all answers before that one. */
  readonly prefix: readonly Operation<Input, Output>[];
  /** The object's name, the end of the prefix, and what was under way at the offending answer. */
  readonly text: string;
}

/** Enough for any sane history; a hostile one ends as undecided instead of filling the memory. */
const STATES_MAX = 1_000_000;
/** Operations shown before the offending one. */
const SHOWN_MAX = 8;
/**
 * How many answers the search goes back to try other orders of what answered before it supposes
 * that an operation of unknown outcome took effect. Only the speed depends on it.
 */
const UNKNOWN_AFTER_RANKS = 16;

/**
 * Whether one order of the operations explains all answers, such that no operation comes before one
 * that had ended when it began (Herlihy and Wing). The search is that of Wing and Gong with Lowe's
 * memoisation: what was tried is a set of operations together with the state that they lead to.
 */
export function check<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: History<Input, Output>,
  limits: { readonly statesMax: number } = { statesMax: STATES_MAX },
): Verdict<Input, Output> {
  const order: Operation<Input, Output>[] = [];
  let statesLeft = limits.statesMax;
  for (const [name, operations] of byObject(model, history)) {
    const search = new Search(model, operations, statesLeft);
    const end = search.run();
    statesLeft -= search.statesTried;
    const { offending, prefix, text } = search.furthest(name);
    if (end === 'undecided') return { outcome: 'undecided', text: `undecided, perhaps ${text}` };
    if (offending !== undefined) return { outcome: 'violation', offending, prefix, text };
    order.push(...prefix);
  }
  return { outcome: 'linearizable', order };
}

/** For tests: throws the words of the verdict unless the history is linearizable. */
export function requireLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: History<Input, Output>,
): void {
  const verdict = check(model, history);
  if (verdict.outcome !== 'linearizable') throw new Error(verdict.text);
}

function byObject<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: History<Input, Output>,
): Map<string, Operation<Input, Output>[]> {
  return Map.groupBy(history, ({ input }) => model.objectOf?.(input) ?? '');
}

/**
 * A set of operations in an order that explains their answers, as the previous one and one more.
 * All answers of a rank below `limitRank` are in it, and nothing that began after the answer of that
 * rank: the numbers here name the set.
 */
interface Step<State, Input, Output> {
  readonly state: State;
  readonly limitRank: number;
  /** Ranks above the limit that are in the set, in no order. */
  readonly ahead: readonly number[];
  /** Operations of unknown outcome that are in the set, as positions, ascending. */
  readonly unknown: readonly number[];
  readonly previous: Step<State, Input, Output> | undefined;
  readonly operation: Operation<Input, Output> | undefined;
}

class Search<State, Input, Output> {
  statesTried = 0;
  readonly #model: Model<State, Input, Output>;
  readonly #statesMax: number;
  /** By the time of the answer: the position is the rank. */
  readonly #answered: readonly Operation<Input, Output>[];
  /** By the time of the invocation. */
  readonly #unknown: readonly Operation<Input, Output>[];
  /** By rank: the ranks of what was under way at that answer, itself included. */
  readonly #underWay: readonly (readonly number[])[];
  readonly #tried = new Set<string>();
  /** Steps to go on from, first with what answered, later with what did not. */
  readonly #open = new RankedStacks<Step<State, Input, Output>>();
  readonly #deferred = new RankedStacks<Step<State, Input, Output>>();
  #furthest: Step<State, Input, Output>;

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    statesMax: number,
  ) {
    this.#model = model;
    this.#statesMax = statesMax;
    for (const operation of operations)
      if ((operation.result?.at ?? operation.invokedAt) < operation.invokedAt)
        throw new Error(`answered before it began: ${describeOperation(model, operation)}`);
    this.#answered = operations
      .filter(({ result }) => result !== undefined)
      .sort((left, right) => answerAt(left) - answerAt(right));
    this.#unknown = operations
      .filter(({ result }) => result === undefined)
      .sort((left, right) => left.invokedAt - right.invokedAt);
    this.#underWay = underWayAtAnswers(this.#answered);
    this.#furthest = {
      state: model.initial,
      limitRank: 0,
      ahead: [],
      unknown: [],
      previous: undefined,
      operation: undefined,
    };
  }

  /** The furthest step goes first, so that a dead end is left by the nearest way round it. */
  run(): 'complete' | 'undecided' {
    this.#open.push(0, this.#furthest);
    while (this.#furthest.limitRank < this.#answered.length) {
      if (this.statesTried >= this.#statesMax) return 'undecided';
      const { highestRank } = this.#open;
      if (highestRank < 0 && this.#deferred.highestRank < 0) return 'complete';
      if (this.#deferred.highestRank - UNKNOWN_AFTER_RANKS > highestRank || highestRank < 0) {
        this.#suppose(this.#deferred.pop());
      } else {
        const step = this.#open.pop();
        this.#goOn(step);
        this.#deferred.push(step.limitRank, step);
      }
    }
    return 'complete';
  }

  /** The longest explanation, and in words the answer that it cannot go beyond, if there is one. */
  furthest(object: string): {
    readonly offending: Operation<Input, Output> | undefined;
    readonly prefix: readonly Operation<Input, Output>[];
    readonly text: string;
  } {
    const { limitRank, state } = this.#furthest;
    const offending = this.#answered[limitRank];
    const prefix: Operation<Input, Output>[] = [];
    for (let step = this.#furthest; step.previous !== undefined; step = step.previous)
      if (step.operation !== undefined) prefix.push(step.operation);
    prefix.reverse();
    if (offending === undefined) return { offending, prefix, text: 'linearizable' };
    const say = (operation: Operation<Input, Output>) =>
      `  ${describeOperation(this.#model, operation)}`;
    const others = (this.#underWay[limitRank] ?? [])
      .flatMap((rank) => this.#answered[rank] ?? [])
      .filter((operation) => operation !== offending && !prefix.includes(operation));
    const text = [
      `not linearizable${object === '' ? '' : ` (${object})`}: no order explains this answer:`,
      say(offending),
      `${prefix.length} operations that one order does explain end with`,
      ...prefix.slice(-SHOWN_MAX).map(say),
      `and lead to ${this.#model.key(state)}; also under way then:`,
      ...others.map(say),
    ].join('\n');
    return { offending, prefix, text };
  }

  /** Everything under way at the earliest answer that is missing may come next, if it is wanted. */
  #goOn(
    step: Step<State, Input, Output>,
    isWanted: (input: Input, output: Output | undefined) => boolean = () => true,
  ): void {
    const candidates = this.#underWay[step.limitRank] ?? [];
    // The last one put on the stack is tried first.
    for (let position = candidates.length - 1; position >= 0; position -= 1) {
      const rank = candidates[position] as number;
      if (step.ahead.includes(rank)) continue;
      const operation = this.#answered[rank] as Operation<Input, Output>;
      const state = this.#model.step(step.state, operation.input, operation.result?.output);
      if (state === undefined || !isWanted(operation.input, operation.result?.output)) continue;
      let { limitRank } = step;
      let ahead: readonly number[] = step.ahead;
      if (rank !== limitRank) ahead = [...ahead, rank];
      else {
        limitRank += 1;
        while (ahead.includes(limitRank)) limitRank += 1;
        ahead = ahead.filter((each) => each > limitRank);
      }
      const { unknown } = step;
      this.#add({ state, limitRank, ahead, unknown, previous: step, operation });
    }
  }

  /**
   * Supposes that operations of unknown outcome took effect here. Since they can wait (see Model), one is
   * placed only right before an operation that is impossible without it.
   */
  #suppose(step: Step<State, Input, Output>): void {
    const { limitRank, ahead } = step;
    const limitAt = answerAt(this.#answered[limitRank]);
    const idle: Operation<Input, Output>[] = [];
    const effective: { position: number; state: State }[] = [];
    for (const [position, operation] of this.#unknown.entries()) {
      if (operation.invokedAt > limitAt) break;
      if (step.unknown.includes(position)) continue;
      const state = this.#model.step(step.state, operation.input, undefined);
      // What changes nothing explains nothing.
      if (state === undefined || state === step.state) idle.push(operation);
      else effective.push({ position, state });
    }
    if (effective.length === 0) return;
    const impossible = [...this.#impossibleAt(step), ...idle.map(({ input }) => input)];
    for (const { position, state } of effective) {
      const unknown = [...step.unknown, position].sort((left, right) => left - right);
      const operation = this.#unknown[position];
      const supposed = { state, limitRank, ahead, unknown, previous: step, operation };
      this.#goOn(
        supposed,
        (input, output) => this.#model.step(step.state, input, output) === undefined,
      );
      const leadsOn =
        idle.some(({ input }) => (this.#model.step(state, input, undefined) ?? state) !== state) ||
        impossible.some((input) => operation && this.#model.helps(operation.input, input));
      if (leadsOn && this.#isNew(supposed, 'supposed')) this.#deferred.push(limitRank, supposed);
    }
  }

  /** Of what is under way, what cannot come next. */
  #impossibleAt({ state, limitRank, ahead }: Step<State, Input, Output>): Input[] {
    return (this.#underWay[limitRank] ?? []).flatMap((rank) => {
      const operation = this.#answered[rank];
      if (operation === undefined || ahead.includes(rank)) return [];
      const { input, result } = operation;
      return this.#model.step(state, input, result?.output) === undefined ? [input] : [];
    });
  }

  #add(step: Step<State, Input, Output>): void {
    if (!this.#isNew(step)) return;
    this.#open.push(step.limitRank, step);
    if (step.limitRank > this.#furthest.limitRank) this.#furthest = step;
  }

  #isNew(
    { limitRank, ahead, unknown, state }: Step<State, Input, Output>,
    kind: 'open' | 'supposed' = 'open',
  ): boolean {
    this.statesTried += 1;
    let placed = '';
    if (ahead.length > 0)
      for (const rank of this.#underWay[limitRank] ?? []) placed += ahead.includes(rank) ? 1 : 0;
    const key = `${kind}|${limitRank}|${placed}|${unknown.join()}|${this.#model.key(state)}`;
    if (this.#tried.has(key)) return false;
    this.#tried.add(key);
    return true;
  }
}

/** Takes what was put in last among what has the highest rank. */
class RankedStacks<Item> {
  /** -1 when there is nothing. */
  highestRank = -1;
  readonly #stacks: Item[][] = [];

  push(rank: number, item: Item): void {
    while (this.#stacks.length <= rank) this.#stacks.push([]);
    this.#stacks[rank]?.push(item);
    this.highestRank = Math.max(this.highestRank, rank);
  }

  pop(): Item {
    const item = this.#stacks[this.highestRank]?.pop();
    if (item === undefined) throw new Error('nothing is left');
    while (this.highestRank >= 0 && this.#stacks[this.highestRank]?.length === 0)
      this.highestRank -= 1;
    return item;
  }
}

function answerAt<Input, Output>(operation: Operation<Input, Output> | undefined): number {
  return operation?.result?.at ?? Number.POSITIVE_INFINITY;
}

/**
 * By rank: the operations that had begun at that answer and had not answered before it, as they
 * began. What begins in the instant of an answer overlaps it.
 */
function underWayAtAnswers<Input, Output>(
  answered: readonly Operation<Input, Output>[],
): number[][] {
  const invokedAt = (rank: number) => answered[rank]?.invokedAt ?? 0;
  const byStart = answered.map((_, rank) => rank);
  byStart.sort((left, right) => invokedAt(left) - invokedAt(right));
  let begun = 0;
  let underWay: number[] = [];
  return answered.map((operation, rank) => {
    for (; begun < byStart.length; begun += 1) {
      const next = byStart[begun] as number;
      if (invokedAt(next) > answerAt(operation)) break;
      underWay.push(next);
    }
    const now = underWay;
    underWay = underWay.filter((each) => each !== rank);
    return now;
  });
}
