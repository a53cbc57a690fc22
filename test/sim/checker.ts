import type { Message } from '../../src/raft/messages.ts';
import type { RaftStatus } from '../../src/raft/ready.ts';
import type { Entry, HardState, MemberId } from '../../src/types/entry.ts';

/** What must never happen in a Raft cluster did. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/**
 * Sees everything that happens in the cluster and checks after each step what Raft promises
 * (dissertation figure 3.2 and section 6.4). All checks are incremental: each looks only at what the step changed.
 */
export class Checker {
  /** Highest index that a client has been told of, by a write or a read. */
  observedIndex = 0;
  acknowledged = 0;
  servedReads = 0;
  elections = 0;
  /** What each index holds since some member first called it committed. */
  readonly committed: Entry[] = [];
  /** The term in which that was, at the latest. */
  readonly #committedInTerm: number[] = [];
  readonly #leaders = new Map<number, MemberId>();
  /** By index and term: the command and the term before it. */
  readonly #positions = new Map<number, { command: number; previousTerm: number }>();
  readonly #votes = new Map<string, MemberId>();

  /** Log Matching, by induction: equal index and term mean an equal command and an equal predecessor. */
  appended(entry: Entry, previousTerm: number): void {
    const key = entry.index * 65_536 + entry.term;
    const command = commandOf(entry);
    const known = this.#positions.get(key);
    if (known === undefined) this.#positions.set(key, { command, previousTerm });
    else if (known.command !== command || known.previousTerm !== previousTerm)
      violated('log matching', `index ${entry.index} of term ${entry.term} exists in two versions`);
  }

  /** Commit index and leadership of a member after a step; `log` is its log, durable or not. */
  observe(
    status: RaftStatus,
    before: { commit: number; term: number },
    log: readonly Entry[],
  ): void {
    const { id, term, commit } = status;
    if (commit < before.commit)
      violated('commit never falls', `member ${id}: ${before.commit} to ${commit}`);
    if (term < before.term)
      violated('the term never falls', `member ${id}: ${before.term}, ${term}`);
    for (let index = before.commit + 1; index <= commit; index += 1)
      this.#commit(status, index, log[index - 1]);
    if (status.role === 'leader') this.#lead(id, term, log);
  }

  /** State Machine Safety: every member applies the same command at an index, and only committed ones. */
  applied(id: MemberId, entry: Entry): void {
    const known = this.committed[entry.index - 1];
    if (known === undefined) violated('only committed entries apply', `${id} at ${entry.index}`);
    else requireSame('state-machine safety', id, known, entry);
  }

  /** Term and vote never fall back on disk. */
  stored(id: MemberId, before: HardState, after: HardState): void {
    const revoted = after.term === before.term && before.vote !== undefined;
    if (after.term < before.term || (revoted && after.vote !== before.vote))
      violated(
        'term and vote never fall back',
        `member ${id}: ${JSON.stringify(before)} to ${JSON.stringify(after)}`,
      );
  }

  /** One vote a term, as the others see it. */
  sent(message: Message): void {
    if (message.type === 'vote') this.#voted(message.from, message.term, message.from);
    if (message.type === 'voteReply' && message.granted)
      this.#voted(message.from, message.term, message.to);
  }

  /** A write was acknowledged at an index; `floor` is what was observed when it was invoked. */
  acknowledge(entry: Entry, floor: number): void {
    const known = this.committed[entry.index - 1];
    if (known === undefined || known.term !== entry.term)
      violated('acknowledged writes are committed', `index ${entry.index}`);
    if (entry.index <= floor)
      violated(
        'writes are linearizable',
        `index ${entry.index} was observed before the write began`,
      );
    this.acknowledged += 1;
    this.observedIndex = Math.max(this.observedIndex, entry.index);
  }

  /** A read returned the state at an index; `floor` is what was observed when it was invoked. */
  readServed(id: MemberId, index: number, floor: number): void {
    if (index < floor)
      violated('reads are linearizable', `member ${id} read ${index} after ${floor} was observed`);
    this.servedReads += 1;
    this.observedIndex = Math.max(this.observedIndex, index);
  }

  #commit({ id, term }: RaftStatus, index: number, entry: Entry | undefined): void {
    if (entry === undefined) violated('only entries commit', `${id} at ${index}`);
    const known = this.committed[index - 1];
    if (known !== undefined) requireSame('committed entries stay', id, known, entry);
    else if (index === this.committed.length + 1) {
      this.committed.push(entry);
      this.#committedInTerm.push(term);
    } else violated('entries commit in order', `member ${id} at ${index}`);
  }

  /** Election Safety, and Leader Completeness when a leader is new. */
  #lead(id: MemberId, term: number, log: readonly Entry[]): void {
    const known = this.#leaders.get(term);
    if (known === id) return;
    if (known !== undefined) violated('election safety', `${known} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    this.elections += 1;
    for (const entry of this.committed) {
      // A leader of an older term may appear late; it need not know what a newer one committed.
      if ((this.#committedInTerm[entry.index - 1] ?? 0) >= term) break;
      const own = log[entry.index - 1];
      if (own === undefined) violated('leader completeness', `${id} lacks index ${entry.index}`);
      else requireSame('leader completeness', id, entry, own);
    }
  }

  #voted(voter: MemberId, term: number, candidate: MemberId): void {
    const key = `${voter}@${term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, candidate);
    else if (known !== candidate)
      violated('one vote a term', `${voter} voted for ${known} and ${candidate} in term ${term}`);
  }
}

/** The number of a client's command; 0 for a no-op. */
export function commandOf(entry: Entry): number {
  const { data } = entry;
  return data.length === 0 ? 0 : new DataView(data.buffer, data.byteOffset).getUint32(0);
}

function requireSame(invariant: string, id: MemberId, known: Entry, entry: Entry): void {
  if (known.term === entry.term && commandOf(known) === commandOf(entry)) return;
  violated(
    invariant,
    `member ${id} holds (${entry.term}, ${commandOf(entry)}) at index ${entry.index}, not (${known.term}, ${commandOf(known)})`,
  );
}

export function violated(invariant: string, details: string): never {
  throw new InvariantViolation(`${invariant}: ${details}`);
}
