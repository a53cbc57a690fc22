import type { ConfigurationChange } from '../../src/raft/ready.ts';
import {
  type Configuration,
  EMPTY_CONFIGURATION,
  type MemberRecord,
  PRIORITY_DEFAULT,
} from '../../src/types/configuration.ts';
import type { MemberId } from '../../src/types/entry.ts';
import { Machine } from './machine.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

const VOTERS_MAX = 7;
const MEMBERS_MAX = 9;
/** Share of looks at any leader, not that of the highest term. */
const STALE_RATE = 0.3;
/** Share of looks at which something is changed that nobody needs to change. */
const WHIM_RATE = 0.5;

/** How a member is reached is of no importance here. */
export function recordOf(id: MemberId, priority = PRIORITY_DEFAULT): MemberRecord {
  const address = { host: `m${id}`, peerPort: 1, apiPort: 2, adminPort: 3 };
  return { id, address, priority };
}

/**
 * The people who run the cluster: they replace members that are lost, under new ids, and in some
 * clusters change the membership all the time. They never ask for a change that would leave no
 * healthy majority.
 */
export class Operator {
  readonly #world: World;
  readonly #leader: () => SimProcess | undefined;
  #nextId: MemberId;
  /** A machine that is ready to join and was not taken yet. */
  #spare: Machine | undefined;
  #whims: boolean;

  constructor(world: World, leader: () => SimProcess | undefined) {
    this.#world = world;
    this.#leader = leader;
    this.#nextId = world.initial.highestId + 1;
    this.#whims = world.settings.changes;
  }

  start(): void {
    const { events, dice, settings } = this.#world;
    events.schedule(dice.exponential(settings.changeMeanMs), () => {
      this.#look();
      this.start();
    });
  }

  /** From now on only what is lost is replaced. */
  calm(): void {
    this.#whims = false;
  }

  /** Whether any member of the configuration is lost. */
  hasLost({ members }: Configuration): boolean {
    return members.some(({ id }) => this.#isUnfit(id));
  }

  /**
   * Whether this member's data may be destroyed: a majority of every configuration that may still
   * come to count must be left, and it must be left when every learner has become a voter.
   */
  mayHarm(victim: MemberId): boolean {
    const { machines, checker } = this.#world;
    for (const { facts } of machines.values())
      for (const { index, configuration } of facts.configurations) {
        if (index < checker.committedConfiguration) continue;
        if (!this.#staysHealthy(configuration, victim)) return false;
      }
    return true;
  }

  #staysHealthy(
    { voters, outgoing, learners }: Configuration,
    victim: MemberId | undefined,
  ): boolean {
    const learnerIds = learners.map(({ id }) => id);
    const unfit = [...voters, ...outgoing, ...learnerIds].filter(
      (id) => id === victim || this.#isUnfit(id),
    );
    const sizes = [voters, outgoing].map(({ length }) => length).filter((size) => size > 0);
    return new Set(unfit).size <= Math.floor((Math.min(...sizes, Infinity) - 1) / 2);
  }

  #isUnfit(id: MemberId): boolean {
    const machine = this.#world.machines.get(id);
    return machine === undefined || machine.lost || machine.damaged || machine.removed;
  }

  #look(): void {
    const leader = this.#drawLeader();
    const configuration = leader?.core?.inside.configuration;
    if (leader === undefined || configuration === undefined || leader.life.paused) return;
    const change = this.#repair(configuration) ?? this.#whim(configuration);
    if (change === undefined) return;
    this.#world.touch(leader);
    const answer = leader.driver?.changeConfiguration(change);
    this.#world.trace(
      () => `operator asks ${leader.id}: ${JSON.stringify(change)} → ${JSON.stringify(answer)}`,
    );
    if (answer === undefined) return;
    const accepted = 'index' in answer;
    if (change.kind === 'addLearner' && (accepted || answer.refused === 'id-used-before'))
      this.#spare = undefined;
  }

  /** Mostly the true leader, sometimes one that only believes to lead. */
  #drawLeader(): SimProcess | undefined {
    const { dice, machines } = this.#world;
    if (!this.#whims || !dice.chance(STALE_RATE)) return this.#leader();
    const leaders = [...machines.values()].flatMap(({ process }) =>
      process?.leads === true ? [process] : [],
    );
    return leaders.length === 0 ? undefined : dice.pick(leaders);
  }

  /** What has to be done about lost members. */
  #repair({ voters, learners }: Configuration): ConfigurationChange | undefined {
    const { dice, machines } = this.#world;
    const isLost = (id: MemberId) => machines.get(id)?.lost === true;
    const learner = learners.find(({ id }) => isLost(id));
    if (learner !== undefined) return { kind: 'remove', id: learner.id };
    const voter = voters.find(isLost);
    if (voter === undefined) return undefined;
    if (voters.length > 2 && dice.chance(0.2)) return { kind: 'remove', id: voter };
    const successor = learners.find(({ replaces }) => replaces === voter);
    if (successor === undefined) return this.#add('automatic', voter);
    return dice.chance(0.1) ? { kind: 'promote', id: successor.id } : undefined;
  }

  /** Something that an operator might do. */
  #whim(configuration: Configuration): ConfigurationChange | undefined {
    const { dice } = this.#world;
    if (!this.#whims || !dice.chance(WHIM_RATE)) return undefined;
    const { voters, learners, members } = configuration;
    const anyone = dice.pick(members).id;
    const kind = dice.pick(['add', 'add', 'replace', 'promote', 'remove', 'remove', 'update']);
    switch (kind) {
      case 'add':
        return this.#hasRoom(configuration) ? this.#add(this.#drawPromotion()) : undefined;
      case 'replace':
        if (!this.#hasRoom(configuration)) return undefined;
        return this.#add(this.#drawPromotion(), dice.pick(voters));
      case 'promote':
        return learners.length > 0 ? { kind, id: dice.pick(learners).id } : undefined;
      case 'remove':
        return this.#mayRemove(configuration, anyone) ? { kind, id: anyone } : undefined;
      default:
        return {
          kind: 'update',
          member: recordOf(anyone, dice.pick([PRIORITY_DEFAULT, PRIORITY_DEFAULT, 50, 200])),
        };
    }
  }

  #drawPromotion(): 'automatic' | 'manual' {
    return this.#world.dice.chance(0.7) ? 'automatic' : 'manual';
  }

  #hasRoom({ voters, learners, members }: Configuration): boolean {
    return voters.length + learners.length < VOTERS_MAX && members.length < MEMBERS_MAX;
  }

  /** Learners count too: they may be voters next. */
  #mayRemove(configuration: Configuration, id: MemberId): boolean {
    const { voters, learners } = configuration;
    if (learners.some((learner) => learner.id === id)) return true;
    const left = voters.filter((voter) => voter !== id);
    return left.length > 0 && this.#staysHealthy({ ...configuration, voters: left }, undefined);
  }

  #add(promotion: 'automatic' | 'manual', replaces?: MemberId): ConfigurationChange {
    this.#spare ??= this.#newMachine();
    return { kind: 'addLearner', member: recordOf(this.#spare.id), promotion, replaces };
  }

  #newMachine(): Machine {
    const id = this.#nextId;
    this.#nextId += 1;
    const version = Math.max(...[...this.#world.machines.values()].map((each) => each.version));
    const machine = new Machine({ id, start: EMPTY_CONFIGURATION, version }, this.#world);
    this.#world.machines.set(id, machine);
    machine.start();
    return machine;
  }
}
