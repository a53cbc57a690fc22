import { assert } from '../lib/assert.ts';

/**
 * What the leader knows of one follower (etcd's design of the same name; dissertation 10.2.1).
 * `probe`: the follower's log is unknown, one Append at a time. `replicate`: Appends are pipelined
 * optimistically up to the window. `snapshot`: nothing is sent. Invariant: match < next.
 */
export class Progress {
  /** Highest index known to be durable on the follower and equal to ours. */
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  state: 'probe' | 'replicate' | 'snapshot' = 'probe';
  /** A probe is out and nothing came back yet. */
  probeSent = false;
  /** Heard since the last quorum check. */
  active = true;
  /** It said that it would take over when asked. */
  eligible = true;
  /** Highest commit index told to the follower. */
  sentCommit = 0;
  /** Highest read round that the follower confirmed in this term. */
  readRound = 0;
  /** The same, of a follower that votes for nobody else for as long as this leader's lease takes. */
  leaseRound = 0;
  /** No acknowledgement since the last heartbeat tick: what is in flight may be lost. */
  quiet = false;
  /** Ticks since anything was heard. */
  silentTicks = 0;
  /** Ticks for which it has been heard, kept up and been eligible without a break. */
  steadyTicks = 0;
  /** Ticks since it was certain that it is no member any more. */
  leftTicks = 0;
  /** The last round was short (see `tick`). */
  caughtUp = false;
  #roundTarget: number;
  #roundTicks = 0;
  readonly #window: InflightWindow;

  constructor(next: number, window: InflightWindow) {
    this.next = next;
    this.#roundTarget = next - 1;
    this.#window = window;
  }

  get paused(): boolean {
    if (this.state === 'replicate') return this.#window.full;
    return this.state === 'snapshot' || this.probeSent;
  }

  get inflightAppends(): number {
    return this.#window.count;
  }

  /** An answer came. */
  heard(): void {
    this.active = true;
    this.silentTicks = 0;
  }

  /**
   * Measures how far the follower is behind (4.2.1): a round lasts until it holds what the leader held when the
   * round began. One that ends within the limit, or does not, says whether a follower keeps up.
   */
  tick(lastIndex: number, ticksMax: number): void {
    this.silentTicks += 1;
    this.#roundTicks += 1;
    if (this.match >= this.#roundTarget) {
      this.caughtUp = this.#roundTicks <= ticksMax;
      this.#roundTarget = lastIndex;
      this.#roundTicks = 0;
    } else if (this.#roundTicks > ticksMax) {
      this.caughtUp = false;
    }
    const steady = this.caughtUp && this.eligible && this.silentTicks <= ticksMax;
    this.steadyTicks = steady ? this.steadyTicks + 1 : 0;
  }

  /** What it lacks is no longer in the log: nothing is sent until it has a snapshot (chapter 5). */
  becomeSnapshot(): void {
    this.state = 'snapshot';
    this.probeSent = false;
    this.#window.clear();
  }

  /** Falls back to one Append at a time, from what is known to match; a probe under way only goes out again. */
  becomeProbe(): void {
    if (this.state !== 'probe') this.next = this.match + 1;
    this.state = 'probe';
    this.probeSent = false;
    this.#window.clear();
  }

  /** Records an Append that leaves; `lastIndex` is that of its last entry, bytes 0 when it is empty. */
  sent(lastIndex: number, bytes: number, commit: number): void {
    this.sentCommit = Math.max(this.sentCommit, commit);
    if (this.state === 'probe') {
      this.probeSent = true;
    } else if (bytes > 0) {
      assert(lastIndex >= this.next, 'an append in flight moves next forward');
      this.next = lastIndex + 1;
      this.#window.add(lastIndex, bytes);
    }
  }

  /**
   * Takes an acknowledgement; true when match rose. Of one that waits for a snapshot it shows that it has
   * installed one; if it shows less, the next Append falls back to asking for one.
   */
  acknowledged(match: number): boolean {
    const rose = match > this.match;
    this.quiet = false;
    if (rose) this.match = match;
    if (this.state === 'probe') {
      // An acknowledgement of what was known already also proves that the follower is current.
      if (match === this.match) this.#becomeReplicate();
    } else if (this.state === 'replicate') {
      this.next = Math.max(this.next, this.match + 1);
      this.#window.freeTo(match);
    } else {
      this.#becomeReplicate();
    }
    return rose;
  }

  /**
   * Takes a rejection of the Append that followed `prevIndex`; `candidate` is the highest index at
   * which the logs can agree. False when the rejection is stale. One at or below match always is, or
   * the follower lost what it acknowledged: then asking again at once would never end.
   */
  rejected(prevIndex: number, candidate: number): boolean {
    if (prevIndex <= this.match || this.state === 'snapshot') return false;
    if (this.state === 'probe' && prevIndex !== this.next - 1) return false;
    const next = Math.max(this.match, Math.min(prevIndex - 1, candidate)) + 1;
    this.becomeProbe();
    this.next = next;
    return true;
  }

  #becomeReplicate(): void {
    this.state = 'replicate';
    this.probeSent = false;
    this.next = this.match + 1;
    this.#window.clear();
  }
}

/** The Appends on their way to one follower, limited by count and by bytes. */
export class InflightWindow {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #lastIndexes: number[] = [];
  #sizes: number[] = [];
  #bytes = 0;

  constructor(limits: { countMax: number; bytesMax: number }) {
    this.#countMax = limits.countMax;
    this.#bytesMax = limits.bytesMax;
  }

  get full(): boolean {
    return this.#sizes.length >= this.#countMax || this.#bytes >= this.#bytesMax;
  }

  get count(): number {
    return this.#sizes.length;
  }

  add(lastIndex: number, bytes: number): void {
    this.#lastIndexes.push(lastIndex);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Forgets all Appends that end at or below the index. */
  freeTo(index: number): void {
    let freed = 0;
    while (freed < this.#sizes.length && (this.#lastIndexes[freed] ?? 0) <= index) {
      this.#bytes -= this.#sizes[freed] ?? 0;
      freed += 1;
    }
    if (freed === 0) return;
    this.#lastIndexes.splice(0, freed);
    this.#sizes.splice(0, freed);
  }

  clear(): void {
    this.#lastIndexes = [];
    this.#sizes = [];
    this.#bytes = 0;
  }
}
