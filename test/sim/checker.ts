import type { Message } from '../../src/raft/messages.ts';
import type { IndexedConfiguration } from '../../src/raft/ready.ts';
import type { Configuration } from '../../src/types/configuration.ts';
import type { Entry, HardState, MemberId } from '../../src/types/entry.ts';
import { identityOf } from './log_mirror.ts';
import { type DurableState, type Electorate, MemberFacts } from './member_facts.ts';
import { violated } from './violation.ts';

/** What a core shows after a step. */
export interface CoreView {
  readonly term: number;
  readonly commit: number;
  readonly leads: boolean;
  readonly electorate: Electorate;
}

/** Above all terms of a run, so that index and term make one number. */
const TERMS = 65_536;

/**
 * Sees everything that happens in the cluster and checks after each step what Raft promises
 * (dissertation figure 3.2 and chapter 4). All checks are incremental: equal index and term mean equal logs up to there (each new
 * entry is checked for that), so comparing the ends of two logs compares the logs.
 */
export class Checker {
  elections = 0;
  installs = 0;
  /** What each index holds since some member first called it committed. */
  readonly committed: Entry[] = [];
  /** Index of the last configuration that is committed. */
  committedConfiguration = 0;
  readonly #facts = new Map<MemberId, MemberFacts>();
  /** The term in which that was, at the latest. */
  readonly #committedInTerm: number[] = [];
  readonly #leaders = new Map<number, MemberId>();
  /** By index and term: what the entry is, and the term before it. */
  readonly #positions = new Map<number, { identity: number; previousTerm: number }>();
  readonly #votes = new Map<number, Map<MemberId, MemberId>>();
  /** State of the state machine after an index, whoever got there first. */
  readonly #states = new Map<number, number>();

  /** Begins to follow a member; ids are never used again. */
  addMember(id: MemberId, start: Configuration): MemberFacts {
    if (this.#facts.has(id)) violated('ids are never used again', `member ${id}`);
    const facts = new MemberFacts(id, start);
    this.#facts.set(id, facts);
    return facts;
  }

  /** A core puts entries into its log, dropping what stood there. */
  appended(facts: MemberFacts, entries: readonly Entry[], leads: boolean): void {
    const first = entries[0];
    if (first === undefined) return;
    const { log } = facts;
    if (first.index <= facts.commit)
      violated('committed entries stay', `member ${facts.id} replaces index ${first.index}`);
    if (leads && first.index <= log.lastIndex)
      violated('a leader only appends', `member ${facts.id} replaces index ${first.index}`);
    if (first.index > log.lastIndex + 1)
      violated('no gaps', `member ${facts.id} appends ${first.index} behind ${log.lastIndex}`);
    for (const entry of entries) {
      this.#position(entry, log.term(entry.index - 1));
      facts.put(entry);
    }
  }

  /** A core moves its commit index forward, in the middle of a step. */
  commits(facts: MemberFacts, view: CoreView): void {
    for (let index = facts.commit + 1; index <= view.commit; index += 1)
      this.#commit(facts, index, view);
    facts.commit = view.commit;
  }

  /** A core after a step. */
  observe(facts: MemberFacts, view: CoreView): void {
    const { term, commit, leads, electorate } = view;
    const { id } = facts;
    if (commit !== facts.commit)
      violated('commit never falls', `member ${id}: ${facts.commit} to ${commit}`);
    if (term < facts.term) violated('the term never falls', `member ${id}: ${facts.term}, ${term}`);
    if (electorate.index !== facts.configurationIndex)
      violated(
        'the last configuration is in force',
        `member ${id} uses ${electorate.index}, its log has ${facts.configurationIndex}`,
      );
    if (leads && !(facts.leads && term === facts.term)) this.#lead(facts, view);
    facts.term = term;
    facts.leads = leads;
  }

  /** State Machine Safety: every member applies the same command at an index, and only committed ones. */
  applied(id: MemberId, entry: Entry, state: number): void {
    const known = this.committed[entry.index - 1];
    if (known === undefined) violated('only committed entries apply', `${id} at ${entry.index}`);
    else requireSame('state-machine safety', id, known, entry);
    this.stateAt(id, entry.index, state);
  }

  /** The state machines of all members are equal after an index. */
  stateAt(id: MemberId, index: number, state: number): void {
    const known = this.#states.get(index);
    if (known === undefined) this.#states.set(index, state);
    else if (known !== state)
      violated('state-machine safety', `member ${id} has another state after index ${index}`);
  }

  /** A write is handed to storage. */
  writes(facts: MemberFacts, hardState: HardState | undefined, entries: readonly Entry[]): void {
    if (hardState !== undefined) requireNoRetreat(facts, hardState);
    facts.underWay.push({ hardState, entries });
  }

  /**
   * A process found this on its disk. It must be what was reported durable, with nothing but some of
   * the records that were on their way behind it.
   */
  recovered(
    facts: MemberFacts,
    found: DurableState,
    machine: { applied: number; configuration: IndexedConfiguration },
  ): void {
    const { id } = facts;
    const { log } = found;
    let previousTerm = log.term(log.base);
    for (const entry of log) {
      this.#requireKnown(id, entry, previousTerm);
      previousTerm = entry.term;
    }
    if (!facts.mayFind(found))
      violated(
        'what was durable stays',
        `member ${id} had ${describe(facts.durable)} and found ${describe(found)}`,
      );
    facts.restart(found, machine);
  }

  /** A snapshot is about to replace state and log: until it did, a crash may leave either. */
  installing(facts: MemberFacts, snapshot: DurableState): void {
    const { base, lastTerm } = snapshot.log;
    if (facts.log.term(base) === lastTerm)
      violated(
        'a snapshot replaces no entry that it does not cover',
        `member ${facts.id} holds ${base} and installs a snapshot up to there`,
      );
    requireNoRetreat(facts, snapshot.hardState);
    facts.installing = snapshot;
  }

  /** From now on only the snapshot can be found. */
  installed(facts: MemberFacts): void {
    this.installs += 1;
    facts.durable = facts.installing ?? facts.durable;
    facts.underWay = [];
  }

  /** One vote a term, as the others see it. */
  sent(message: Message): void {
    if (message.type === 'vote') this.#voted(message.from, message.term, message.from);
    if (message.type === 'voteReply' && message.granted)
      this.#voted(message.from, message.term, message.to);
  }

  /** Log Matching, by induction: equal index and term mean an equal entry and an equal predecessor. */
  #position(entry: Entry, previousTerm: number | undefined): void {
    const key = entry.index * TERMS + entry.term;
    const identity = identityOf(entry);
    const known = this.#positions.get(key);
    if (known === undefined)
      this.#positions.set(key, { identity, previousTerm: previousTerm ?? 0 });
    else if (known.identity !== identity || known.previousTerm !== previousTerm)
      violated('log matching', `index ${entry.index} of term ${entry.term} exists in two versions`);
  }

  /** What is on a disk was once in the log of a core. */
  #requireKnown(id: MemberId, entry: Entry, previousTerm: number | undefined): void {
    const known = this.#positions.get(entry.index * TERMS + entry.term);
    if (known?.identity !== identityOf(entry) || known.previousTerm !== previousTerm)
      violated(
        'what was written comes back',
        `member ${id} read another entry ${entry.index} of term ${entry.term}`,
      );
  }

  #commit(facts: MemberFacts, index: number, { term, leads, electorate }: CoreView): void {
    const { id, log } = facts;
    const entry = log.at(index);
    if (entry === undefined) violated('only entries commit', `${id} at ${index}`);
    const known = this.committed[index - 1];
    if (known !== undefined) {
      requireSame('committed entries stay', id, known, entry);
      return;
    }
    if (index !== this.committed.length + 1)
      violated('entries commit in order', `member ${id} at ${index}`);
    if (!leads) violated('leaders commit first', `member ${id} follows and commits ${index}`);
    const holders = (member: MemberId) =>
      this.#facts.get(member)?.holds(index, entry.term) === true;
    this.#requireMajorities(electorate, holders, () => `member ${id} commits index ${index}`);
    this.committed.push(entry);
    if (entry.type === 'configuration') this.committedConfiguration = index;
    this.#committedInTerm.push(term);
  }

  /** Election Safety and Leader Completeness. */
  #lead(facts: MemberFacts, { term, electorate }: CoreView): void {
    const { id, log } = facts;
    const known = this.#leaders.get(term);
    if (known !== undefined) violated('election safety', `${known} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    this.elections += 1;
    const voted = (member: MemberId) => this.#facts.get(member)?.mayHaveVoted(term, id) === true;
    this.#requireMajorities(electorate, voted, () => `member ${id} leads term ${term}`);
    // A leader of an older term may appear late; it need not know what a newer one committed.
    let index = this.committed.length;
    while (index > 0 && (this.#committedInTerm[index - 1] ?? 0) >= term) index -= 1;
    const entry = this.committed[index - 1];
    if (entry === undefined || log.base >= index) return;
    const own = log.at(index);
    if (own === undefined) violated('leader completeness', `${id} lacks index ${index}`);
    requireSame('leader completeness', id, entry, own);
  }

  #requireMajorities(
    { voters, outgoing }: Electorate,
    accept: (member: MemberId) => boolean,
    describeDecision: () => string,
  ): void {
    for (const half of [voters, outgoing]) {
      const count = half.filter(accept).length;
      if (half.length > 0 && 2 * count <= half.length)
        violated(
          'decisions have durable majorities',
          `${describeDecision()} by ${count} of ${half.length} (${half.join(' ')})`,
        );
    }
  }

  #voted(voter: MemberId, term: number, candidate: MemberId): void {
    let votes = this.#votes.get(term);
    if (votes === undefined) {
      votes = new Map();
      this.#votes.set(term, votes);
    }
    const known = votes.get(voter);
    if (known === undefined) votes.set(voter, candidate);
    else if (known !== candidate)
      violated('one vote a term', `${voter} voted for ${known} and ${candidate} in term ${term}`);
  }
}

/** Term and vote never fall back on disk. */
function requireNoRetreat({ id, underWay, durable }: MemberFacts, after: HardState): void {
  const last = underWay.findLast(({ hardState }) => hardState !== undefined);
  const before = last?.hardState ?? durable.hardState;
  const revotes = after.term === before.term && before.vote !== undefined;
  if (after.term < before.term || (revotes && after.vote !== before.vote))
    violated(
      'term and vote never fall back',
      `member ${id}: ${JSON.stringify(before)} to ${JSON.stringify(after)}`,
    );
}

function requireSame(invariant: string, id: MemberId, known: Entry, entry: Entry): void {
  if (known.term === entry.term && identityOf(known) === identityOf(entry)) return;
  violated(
    invariant,
    `member ${id} holds (${entry.term}, ${identityOf(entry)}) at index ${entry.index}, not (${known.term}, ${identityOf(known)})`,
  );
}

function describe({ hardState, log }: DurableState): string {
  const { term, vote } = hardState;
  return `term ${term} with vote ${vote ?? 'none'} and a log up to (${log.lastIndex}, ${log.lastTerm})`;
}
