import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RaftDriver } from '../../../src/driver/raft_driver.ts';
import type { Message } from '../../../src/raft/messages.ts';
import type { Raft } from '../../../src/raft/raft.ts';
import type {
  ConfigurationChange,
  ReadState,
  Ready,
  SnapshotPosition,
} from '../../../src/raft/ready.ts';
import type { Entry, HardState } from '../../../src/types/entry.ts';
import { founders, ManualClock, quiet, until } from '../ledger/chain_fixture.ts';

/** A core that hands out what the test puts in, and notes what is done to it. */
class ScriptedRaft {
  readonly readies: Ready[] = [];
  readonly notes: string[];
  failure: Error | undefined;
  timeMs = 0;
  snapshotAnswer: 'install' | 'notNeeded' = 'notNeeded';
  answerReads: ((requestId: number) => ReadState | undefined) | undefined;

  constructor(notes: string[]) {
    this.notes = notes;
  }

  #note(text: string): void {
    if (this.failure !== undefined) throw this.failure;
    this.notes.push(text);
  }

  takeReady = (): Ready | undefined => this.readies.shift();
  persisted = ({ sequence }: { sequence: number }): void => this.#note(`persisted ${sequence}`);
  tick = (): void => this.#note('tick');
  step = (message: Message): void => this.#note(`step ${message.type}`);
  peerConnected = (peer: number): void => this.#note(`connected ${peer}`);
  setTime = (monotonicMs: number): void => {
    this.timeMs = monotonicMs;
  };
  setEligible = (eligible: boolean): void => this.#note(`eligible ${eligible}`);
  propose = (): { index: number; term: number } => {
    this.#note('propose');
    return { index: 7, term: 2 };
  };
  changeConfiguration = ({ kind }: ConfigurationChange): { index: number; term: number } => {
    this.#note(`change ${kind}`);
    return { index: 8, term: 2 };
  };
  acceptSnapshot = ({ index }: SnapshotPosition): 'install' | 'notNeeded' => {
    this.#note(`snapshot ${index}`);
    return this.snapshotAnswer;
  };
  transferLeadership = (target: number): void => this.#note(`transfer ${target}`);
  readIndex = (requestId: number): void => {
    this.#note(`readIndex ${requestId}`);
    const state = this.answerReads?.(requestId);
    if (state !== undefined) this.readies.push(ready({ readStates: [state] }));
  };
}

/** A log whose writes end when told. */
class ToldLog {
  readonly firstIndex = 1;
  readonly lastIndex = 100;
  readonly writes: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly appended: { hardState: HardState | undefined; entries: readonly Entry[] }[] = [];

  term = (): number => 1;
  entries = (from: number, toInclusive: number): Entry[] =>
    Array.from({ length: toInclusive - from + 1 }, (_, offset) => entry(from + offset));
  append = (write: { hardState: HardState | undefined; entries: readonly Entry[] }) => {
    this.appended.push(write);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.writes.push({ resolve, reject });
    return promise;
  };
}

function entry(index: number): Entry {
  return { index, term: 1, type: 'command', data: Uint8Array.of(index) };
}

function ready(fields: Partial<Ready>): Ready {
  return {
    messages: [],
    hardState: undefined,
    entries: [],
    persist: undefined,
    messagesAfterPersist: [],
    committed: undefined,
    readStates: [],
    leadership: undefined,
    snapshotWanted: undefined,
    configuration: undefined,
    ...fields,
  };
}

/** Messages are told apart by their receiver. */
function message(to: number): Message {
  return { type: 'timeoutNow', from: 1, to, term: 1, lastIndex: 0 };
}

let notes: string[];
let raft: ScriptedRaft;
let log: ToldLog;
let clock: ManualClock;
let fatal: unknown[];
let apply: (entries: readonly Entry[]) => Promise<number>;
let driver: RaftDriver;

beforeEach(() => {
  notes = [];
  raft = new ScriptedRaft(notes);
  log = new ToldLog();
  clock = new ManualClock();
  fatal = [];
  apply = async (entries) => {
    const last = entries.at(-1)?.index ?? 0;
    notes.push(`apply ${entries[0]?.index}-${last}`);
    return last;
  };
  driver = new RaftDriver(
    { tickMs: 10, applied: 0 },
    {
      raft: raft as unknown as Raft,
      log,
      stateMachine: { apply: (entries) => apply(entries) },
      clock,
      defer: setImmediate,
      send: ({ to }) => notes.push(`send ${to}`),
      onLeadership: ({ term }) => notes.push(`term ${term}`),
      onConfiguration: ({ index }) => notes.push(`configuration ${index}`),
      onSnapshotWanted: ({ from, index }) => notes.push(`wanted ${index} of ${from}`),
      onFatal: (error) => fatal.push(error),
    },
  );
});

afterEach(() => {
  for (const { resolve } of log.writes) resolve();
});

/** Gives the driver a turn in which it takes what the core has ready. */
async function drive(...readies: Ready[]): Promise<void> {
  raft.readies.push(...readies);
  driver.peerConnected(9);
  await quiet();
}

const withoutInputs = () => notes.filter((note) => note !== 'connected 9');

describe('RaftDriver: persist before send', () => {
  it('sends at once what promises nothing, and the rest when its write is durable', async () => {
    await drive(
      ready({
        messages: [message(2)],
        entries: [entry(1)],
        persist: { sequence: 1 },
        messagesAfterPersist: [message(3)],
      }),
    );
    expect(withoutInputs()).toEqual(['send 2']);
    log.writes[0]?.resolve();
    await quiet();
    expect(withoutInputs()).toEqual(['send 2', 'persisted 1', 'send 3']);
  });

  it('keeps the order of the Readies when a later write ends first', async () => {
    await drive(
      ready({ persist: { sequence: 1 }, messagesAfterPersist: [message(2)] }),
      ready({ persist: { sequence: 2 }, messagesAfterPersist: [message(3)] }),
      ready({ messagesAfterPersist: [message(4)] }),
    );
    expect(log.writes).toHaveLength(2);
    log.writes[1]?.resolve();
    await quiet();
    expect(withoutInputs()).toEqual([]);
    log.writes[0]?.resolve();
    await quiet();
    expect(withoutInputs()).toEqual(['persisted 1', 'send 2', 'persisted 2', 'send 3', 'send 4']);
  });

  it('takes the next Ready while a write is under way', async () => {
    await drive(ready({ persist: { sequence: 1 } }));
    await drive(ready({ messages: [message(2)], persist: { sequence: 2 } }));
    expect(withoutInputs()).toEqual(['send 2']);
    expect(log.appended).toHaveLength(2);
  });

  it('fails when a write fails: nothing that rests on it or comes after it leaves', async () => {
    await drive(
      ready({ persist: { sequence: 1 }, messagesAfterPersist: [message(2)] }),
      ready({ persist: { sequence: 2 }, messagesAfterPersist: [message(3)] }),
    );
    const error = new Error('the disk is gone');
    log.writes[0]?.reject(error);
    log.writes[1]?.resolve();
    await quiet();
    expect(fatal).toEqual([error]);
    expect(withoutInputs()).toEqual([]);
    await drive(ready({ messages: [message(4)] }));
    expect(withoutInputs()).toEqual([]);
    expect(driver.propose([Uint8Array.of(1)])).toMatchObject({ refused: 'not-leader' });
  });

  it('sends nothing of a write that ends after the stop', async () => {
    await drive(ready({ persist: { sequence: 1 }, messagesAfterPersist: [message(2)] }));
    const stopped = driver.stop();
    log.writes[0]?.resolve();
    await stopped;
    await quiet();
    expect(withoutInputs()).toEqual([]);
  });

  it('tells of the core’s own failures once, whoever caused them', async () => {
    raft.failure = new Error('an invariant broke');
    expect(driver.propose([Uint8Array.of(1)])).toMatchObject({ refused: 'not-leader' });
    expect(driver.transferLeadership(2)).toMatchObject({ refused: 'not-leader' });
    driver.receive(message(1));
    await quiet();
    expect(fatal).toEqual([raft.failure]);
  });
});

describe('RaftDriver: configurations and snapshots', () => {
  const change = { kind: 'promote', id: 4 } as const;

  it('tells the core the time before each input', async () => {
    clock.advance(7);
    driver.receive(message(1));
    expect(raft.timeMs).toBe(7);
  });

  it('scenario 40: tells it the time once more before it takes what is ready, and after each write', async () => {
    const taken: number[] = [];
    const { takeReady } = raft;
    raft.takeReady = () => {
      taken.push(raft.timeMs);
      return takeReady();
    };
    const turn = drive(ready({ persist: { sequence: 1 } }));
    clock.advance(3);
    await turn;
    expect(taken).toEqual([3, 3]);
    clock.advance(4);
    raft.persisted = () => notes.push(`persisted at ${raft.timeMs}`);
    log.writes[0]?.resolve();
    await quiet();
    expect(withoutInputs()).toEqual(['persisted at 7']);
  });

  it('announces a configuration before it sends what may go to its new members', async () => {
    const configuration = { index: 5, configuration: founders };
    await drive(ready({ configuration, messages: [message(4)] }));
    expect(withoutInputs()).toEqual(['configuration 5', 'send 4']);
    expect(driver.changeConfiguration(change)).toEqual({ index: 8, term: 2 });
  });

  it('scenario 43: takes nothing more once a snapshot is to be installed, and waits for its writes', async () => {
    await drive(
      ready({
        snapshotWanted: { from: 2, index: 9 },
        persist: { sequence: 1 },
        messagesAfterPersist: [message(2)],
      }),
    );
    expect(withoutInputs()).toEqual(['wanted 9 of 2']);
    raft.snapshotAnswer = 'install';
    expect(driver.offerSnapshot({ index: 9, term: 2 })).toBe('install');
    driver.receive(message(1));
    expect(driver.changeConfiguration(change)).toMatchObject({ refused: 'not-leader' });
    await expect(driver.linearize(new AbortController().signal)).rejects.toThrow();
    const stopped = driver.stop();
    log.writes[0]?.resolve();
    await stopped;
    expect(withoutInputs()).toEqual(['wanted 9 of 2', 'snapshot 9']);
  });

  it('scenario 45: goes on after a snapshot that is not needed', async () => {
    expect(driver.offerSnapshot({ index: 9, term: 2 })).toBe('notNeeded');
    driver.receive(message(1));
    expect(notes).toEqual(['snapshot 9', 'step timeoutNow']);
  });
});

describe('RaftDriver: applying', () => {
  it('applies one range after the other, and what comes meanwhile after it', async () => {
    const gates: (() => void)[] = [];
    apply = async (entries) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gates.push(resolve);
      notes.push(`apply ${entries[0]?.index}-${entries.at(-1)?.index}`);
      await promise;
      // The state machine may stop early, at an outcome.
      return entries[0]?.index ?? 0;
    };
    await drive(ready({ committed: { from: 1, toInclusive: 2 } }));
    await drive(ready({ committed: { from: 3, toInclusive: 3 } }));
    expect(withoutInputs()).toEqual(['apply 1-2']);
    for (let done = 0; done < 3; done += 1) {
      await until(() => gates.length > done, 'the next range');
      gates[done]?.();
    }
    await until(() => driver.appliedIndex === 3, 'the end');
    expect(withoutInputs()).toEqual(['apply 1-2', 'apply 2-3', 'apply 3-3']);
  });

  it('announces leadership before it applies what the same Ready committed', async () => {
    await drive(
      ready({
        leadership: { role: 'leader', term: 4, leader: 1 },
        committed: { from: 1, toInclusive: 1 },
      }),
    );
    expect(withoutInputs()).toEqual(['term 4', 'apply 1-1']);
  });

  it('fails when the state machine fails', async () => {
    const error = new Error('cannot apply');
    apply = () => Promise.reject(error);
    await drive(ready({ committed: { from: 1, toInclusive: 1 } }));
    expect(fatal).toEqual([error]);
  });

  it('stops before all of a long backlog is applied', async () => {
    apply = async (entries) => {
      notes.push(`apply ${entries[0]?.index}`);
      await quiet();
      return entries[0]?.index ?? 0;
    };
    await drive(ready({ committed: { from: 1, toInclusive: 1_000 } }));
    await driver.stop();
    expect(driver.appliedIndex).toBeLessThan(1_000);
    expect(withoutInputs()).toHaveLength(driver.appliedIndex);
  });

  it('waits with its stop for the write under way', async () => {
    await drive(ready({ persist: { sequence: 1 } }));
    let stopped = false;
    const stopping = driver.stop().then(() => {
      stopped = true;
    });
    await quiet();
    expect(stopped).toBe(false);
    log.writes[0]?.resolve();
    await stopping;
  });

  it('waits with its stop for the range under way', async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    apply = () => promise;
    await drive(ready({ committed: { from: 1, toInclusive: 1 } }));
    let stopped = false;
    const stopping = driver.stop().then(() => {
      stopped = true;
    });
    await quiet();
    expect(stopped).toBe(false);
    resolve(1);
    await stopping;
  });
});

describe('RaftDriver: linearizable reads', () => {
  const { signal } = new AbortController();

  it('share a round when they come in one turn, and wait for the state machine', async () => {
    raft.answerReads = (requestId) => ({ requestId, index: 1 });
    let served = 0;
    const reads = [1, 2, 3].map(() =>
      driver.linearize(signal).then(() => {
        served += 1;
      }),
    );
    await quiet();
    expect(notes).toEqual(['readIndex 1']);
    expect(served).toBe(0);
    await drive(ready({ committed: { from: 1, toInclusive: 1 } }));
    await Promise.all(reads);
    // A read that begins later asks again.
    await driver.linearize(signal);
    expect(notes).toContain('readIndex 2');
  });

  it('ask again when they were refused', async () => {
    raft.answerReads = (requestId) =>
      requestId < 3 ? { requestId, refused: 'leader-changed' } : { requestId, index: 0 };
    const read = driver.linearize(signal);
    for (const expected of [1, 2]) {
      await until(() => notes.at(-1) === `readIndex ${expected}` && clock.timers > 0, 'a refusal');
      clock.advance(15);
    }
    await read;
  });

  it('end with NO_LEADER when their time is over, and leave nothing waiting', async () => {
    raft.answerReads = (requestId) => ({ requestId, index: 5 });
    const controller = new AbortController();
    const reads = [driver.linearize(controller.signal), driver.linearize(controller.signal)];
    await quiet();
    controller.abort();
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'NO_LEADER' });
    await expect(driver.linearize(controller.signal)).rejects.toMatchObject({ code: 'NO_LEADER' });
  });

  it('are refused while the member stops or after it failed', async () => {
    const waiting = driver.linearize(signal);
    await quiet();
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: 'STOPPING' }), driver.stop()]);
    await expect(driver.linearize(signal)).rejects.toMatchObject({ code: 'STOPPING' });
  });

  it('are refused beyond the number that may wait, also when they share one round', async () => {
    const controllers = Array.from({ length: 16_384 }, () => new AbortController());
    const settled = Promise.allSettled(controllers.map((one) => driver.linearize(one.signal)));
    await expect(driver.linearize(signal)).rejects.toMatchObject({ code: 'OVERLOADED' });
    for (const controller of controllers) controller.abort();
    await settled;
  });

  it('are refused beyond the number that may wait for the state machine', async () => {
    raft.answerReads = (requestId) => ({ requestId, index: 5 });
    const controllers = Array.from({ length: 16_384 }, () => new AbortController());
    const settled = Promise.allSettled(controllers.map((one) => driver.linearize(one.signal)));
    await until(() => notes.length > 0, 'the round');
    await quiet();
    await expect(driver.linearize(signal)).rejects.toMatchObject({ code: 'OVERLOADED' });
    for (const controller of controllers) controller.abort();
    await settled;
    // Those who left make room.
    const next = driver.linearize(signal);
    await drive(ready({ committed: { from: 1, toInclusive: 5 } }));
    await next;
  });
});
