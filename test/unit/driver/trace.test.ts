import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openTraceFile } from '../../../src/cli/trace_file.ts';
import { RaftDriver } from '../../../src/driver/raft_driver.ts';
import { type TraceEvent, Tracer } from '../../../src/driver/trace.ts';
import type { Message } from '../../../src/raft/messages.ts';
import { Raft } from '../../../src/raft/raft.ts';
import { encodeConfiguration } from '../../../src/types/configuration.ts';
import { founders, ManualClock, until } from '../ledger/chain_fixture.ts';
import { MemoryLog } from '../raft/cluster.ts';

const ELECTION_TICKS = 10;
/** Member 1 of three on what its log holds. */
function core(log: MemoryLog): Raft {
  return new Raft(
    {
      id: 1,
      configuration: { index: 0, configuration: founders },
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 2,
      hardState: log.hardState,
      applied: 0,
    },
    { log, random: () => 0 },
  );
}

function eventsOf(lines: readonly string[]): TraceEvent[] {
  return lines
    .join('')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TraceEvent);
}

it('begins with the whole log, equal data with equal hashes, configurations in full', () => {
  const log = new MemoryLog();
  const data = Uint8Array.of(1, 2, 3);
  log.hardState = { term: 2, vote: 3 };
  log.stored = [
    { index: 1, term: 1, type: 'command', data },
    { index: 2, term: 2, type: 'command', data },
    { index: 3, term: 2, type: 'command', data: Uint8Array.of(9) },
    { index: 4, term: 2, type: 'configuration', data: encodeConfiguration(founders) },
  ];
  const lines: string[] = [];
  new Tracer({ write: (text) => lines.push(text) }, { raft: core(log), log });
  const [start] = eventsOf(lines);
  if (start?.event !== 'start') throw new Error(start?.event);
  const { entries, state } = start;
  expect(state).toMatchObject({ term: 2, vote: 3, role: 'follower', lastIndex: 4, firstIndex: 1 });
  expect(state.configuration).toEqual({ index: 4, voters: [1, 2, 3], outgoing: [], learners: [] });
  expect(entries.map(({ index, term, type }) => [index, term, type])).toEqual(
    log.stored.map(({ index, term, type }) => [index, term, type]),
  );
  expect(entries[0]?.hash).toBe(entries[1]?.hash);
  expect(entries[2]?.hash).not.toBe(entries[1]?.hash);
  expect(entries[3]?.configuration?.voters).toEqual([1, 2, 3]);
});

it('leaves out ticks that change nothing, and counts them', () => {
  const log = new MemoryLog();
  const lines: string[] = [];
  const raft = core(log);
  const tracer = new Tracer({ write: (text) => lines.push(text) }, { raft, log });
  for (let ticks = 1; ticks <= ELECTION_TICKS; ticks += 1) {
    raft.tick();
    tracer.input('tick');
  }
  const ready = raft.takeReady();
  if (ready === undefined) throw new Error('a PreVote must leave');
  tracer.ready(ready);
  const [, tick, sent, ...others] = eventsOf(lines);
  expect(others).toEqual([]);
  expect(tick).toMatchObject({
    event: 'input',
    input: 'tick',
    state: { role: 'preCandidate', ticks: ELECTION_TICKS },
  });
  expect(sent).toMatchObject({ event: 'ready', number: 1, messages: [{ to: 2 }, { to: 3 }] });
});

it('has written down what a message rests on before it leaves', async () => {
  const log = new MemoryLog();
  const clock = new ManualClock();
  const lines: string[] = [];
  const sent: { message: Message; last: TraceEvent | undefined }[] = [];
  const driver = new RaftDriver(
    { tickMs: 10, applied: 0 },
    {
      raft: core(log),
      log: Object.assign(log, {
        append: async (write: Parameters<MemoryLog['write']>[0]) => log.write(write),
      }),
      stateMachine: { apply: async (entries) => entries.at(-1)?.index ?? 0 },
      clock,
      defer: setImmediate,
      send: (message) => sent.push({ message, last: eventsOf(lines).at(-1) }),
      onLeadership: () => undefined,
      onConfiguration: () => undefined,
      onSnapshotWanted: () => undefined,
      onFatal: (error) => {
        throw error;
      },
      trace: { write: (text) => lines.push(text) },
    },
  );
  driver.start();
  onTestFinished(() => driver.stop());
  driver.receive({
    type: 'vote',
    from: 2,
    to: 1,
    term: 1,
    lastIndex: 0,
    lastTerm: 0,
    transfer: false,
  });
  await until(() => sent.length > 0);
  const [{ message, last } = { message: undefined, last: undefined }] = sent;
  expect(message).toMatchObject({ type: 'voteReply', granted: true });
  expect(last).toMatchObject({ event: 'persisted', number: 1, state: { term: 1, vote: 2 } });
  expect(eventsOf(lines).map(({ event }) => event)).toEqual([
    'start',
    'receive',
    'ready',
    'persisted',
  ]);
});

it('appends to a file, on a line of its own after one that was cut off', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'blockraft-trace-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'deep', 'member-1.ndjson');
  openTraceFile(file).write('{"member":1,"eve');
  openTraceFile(file).write('{}\n');
  expect(await readFile(file, 'utf8')).toBe('\n{"member":1,"eve\n{}\n');
  await writeFile(join(folder, 'taken'), '');
  expect(() => openTraceFile(join(folder, 'taken', 'file'))).toThrow(/cannot write the trace/);
});
