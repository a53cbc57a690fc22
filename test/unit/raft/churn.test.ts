import { expect, it } from 'vitest';
import type { Message } from '../../../src/raft/messages.ts';
import type { ConfigurationChange } from '../../../src/raft/ready.ts';
import { isMember } from '../../../src/types/configuration.ts';
import type { MemberId } from '../../../src/types/entry.ts';
import { Dice } from '../../sim/random.ts';
import { command, founded, record, TestCluster, type TestMember } from './cluster.ts';

const STEPS = 1_500;
const SEEDS = 60;
/** Messages on their way; more are lost. */
const FLYING_MAX = 400;
/** Healed, the cluster must agree and serve within this many ticks. */
const HEALED_TICKS = 600;

/** A cluster under membership changes, crashes, compaction and a bad network, and what must hold in it. */
class Churn {
  readonly #dice: Dice;
  readonly #cluster: TestCluster;
  readonly #flying: Message[] = [];
  readonly #leaders = new Map<number, MemberId>();
  readonly #entries = new Map<number, string>();
  readonly #checked = new Map<MemberId, number>();
  #highestId: MemberId;
  #unreachable: MemberId | undefined;
  changes = 0;
  installs = 0;

  constructor(seed: number) {
    const dice = new Dice(seed);
    const size = dice.pick([1, 2, 3, 3, 4, 5]);
    const ids = Array.from({ length: size }, (_, position) => position + 1);
    const leaseReads = dice.chance(0.3) ? { durationMs: 50 } : undefined;
    const configuration = founded(ids);
    this.#options = { leaseReads, maxInflightAppends: dice.integer(1, 4), maxAppendBytes: 40 };
    this.#cluster = new TestCluster(size, () => ({ ...this.#options, configuration }));
    this.#dice = dice;
    this.#highestId = size;
  }

  readonly #options;

  run(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.#step();
      this.#check();
    }
    this.#heal();
  }

  #step(): void {
    const dice = this.#dice;
    const member = dice.pick([...this.#cluster.members.values()]);
    const roll = dice.integer(0, 99);
    if (roll < 35) this.#deliver();
    else if (roll < 60) member.raft.tick();
    else if (roll < 75) this.#fly(member.drain());
    else if (roll < 82) this.#fly(member.take());
    else if (roll < 86) this.#fly(member.writeAll());
    else if (roll < 88) member.restart();
    else if (roll < 91) member.raft.propose([command(`${dice.integer(0, 1e6)}`)]);
    else if (roll < 94) this.#change(member);
    else if (roll < 95) member.raft.transferLeadership(dice.integer(1, this.#highestId));
    else if (roll < 97) member.compactTo(dice.integer(member.log.base.index, member.appliedIndex));
    else if (roll < 99) this.#install(member);
    else this.#unreachable = dice.chance(0.5) ? member.id : undefined;
  }

  #fly(messages: readonly Message[]): void {
    this.#flying.push(...messages.filter(() => this.#flying.length < FLYING_MAX));
  }

  #deliver(): void {
    const dice = this.#dice;
    const count = Math.min(this.#flying.length, dice.integer(1, 8));
    for (let done = 0; done < count; done += 1) {
      // Mostly in order; some are late, some lost, some come twice.
      const at = dice.chance(0.8) ? 0 : dice.integer(0, this.#flying.length - 1);
      const message = this.#flying[at]!;
      if (!dice.chance(0.03)) this.#flying.splice(at, 1);
      const cut = [message.from, message.to].includes(this.#unreachable ?? 0);
      if (!cut && !dice.chance(0.05)) this.#cluster.members.get(message.to)?.raft.step(message);
    }
  }

  #change(member: TestMember): void {
    const dice = this.#dice;
    const known = dice.integer(1, this.#highestId);
    const id = this.#highestId + 1;
    const change = dice.pick<ConfigurationChange>([
      {
        kind: 'addLearner',
        member: record(id, dice.pick([100, 200])),
        promotion: dice.pick(['automatic', 'automatic', 'manual']),
        replaces: dice.pick([undefined, known]),
      },
      { kind: 'promote', id: known },
      { kind: 'remove', id: known },
      { kind: 'update', member: record(known, dice.pick([100, 200])) },
    ]);
    const answer = member.raft.changeConfiguration(change);
    if (!('index' in answer)) return;
    this.changes += 1;
    if (change.kind !== 'addLearner') return;
    this.#highestId = id;
    this.#cluster.join(id, this.#options);
  }

  #install(member: TestMember): void {
    const wanted = member.wanted.at(-1);
    if (wanted === undefined) return;
    const sources = [...this.#cluster.members.values()].filter(
      (other) => other !== member && other.appliedIndex >= wanted.index,
    );
    if (sources.length === 0) return;
    if (member.offerSnapshotOf(this.#dice.pick(sources)) === 'install') this.installs += 1;
    member.wanted.length = 0;
  }

  #check(): void {
    for (const [id, member] of this.#cluster.members) {
      const { role, term } = member.status;
      if (role === 'leader') {
        expect(this.#leaders.get(term) ?? id, `two leaders of term ${term}`).toBe(id);
        this.#leaders.set(term, id);
      }
      const from = this.#checked.get(id) ?? 0;
      for (const { index, term: written, data } of member.applied.slice(from)) {
        const text = `${written} ${data}`;
        const before = this.#entries.get(index) ?? text;
        if (before !== text) throw new Error(`member ${id} applied another entry at ${index}`);
        this.#entries.set(index, text);
      }
      this.#checked.set(id, member.applied.length);
    }
  }

  /** Whoever is no member any more stops; the others must end in one configuration and serve. */
  #heal(): void {
    const { members } = this.#cluster;
    this.#flying.length = 0;
    for (let tick = 0; tick < HEALED_TICKS; tick += 1) {
      this.#cluster.tick(1);
      this.#check();
      for (const member of members.values()) if (member.wanted.length > 0) this.#install(member);
      if (tick % 20 === 19 && this.#isServing()) return;
    }
    const states = [...members.values()].map(({ status }) => JSON.stringify(status));
    throw new Error(`no agreement:\n${states.join('\n')}`);
  }

  #isServing(): boolean {
    const leaders = this.#cluster.leaders();
    const leader = leaders[0];
    if (leader === undefined || leaders.length > 1) return false;
    const { configuration, committed } = leader.status.configuration;
    if (!committed || configuration.outgoing.length > 0) return false;
    const answer = leader.raft.propose([command('last')]);
    this.#cluster.settle();
    if (!('index' in answer)) return false;
    return [...this.#cluster.members.values()].every((member) => {
      const { status } = member;
      if (!isMember(configuration, member.id)) return true;
      const same = status.configuration.index === leader.status.configuration.index;
      return same && status.commit >= answer.index;
    });
  }
}

it('scenarios 54 to 62: whatever happens, one history, one leader a term, and in the end one configuration', () => {
  let changes = 0;
  let installs = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const churn = new Churn(seed);
    try {
      churn.run();
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause}`, { cause });
    }
    changes += churn.changes;
    installs += churn.installs;
  }
  expect(changes).toBeGreaterThan(SEEDS);
  expect(installs).toBeGreaterThan(SEEDS / 4);
});
