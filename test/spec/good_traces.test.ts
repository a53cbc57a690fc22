import { describe, expect, it } from 'vitest';
import { checkTraces, requireTracesAllowed } from './check_trace.ts';
import {
  appendsOfFirst,
  between,
  change,
  command,
  commitNoop,
  configurationOf,
  electFirst,
  noop,
  TraceScript,
} from './trace_script.ts';

const good: Record<string, () => TraceScript> = {
  'an election and a commit': () => commitNoop(electFirst(new TraceScript())),
  'messages that are lost, repeated and overtaken': () => {
    const [first, second] = [command(2, 1), command(3, 1)];
    const { append } = between(1, 2, 1);
    return commitNoop(electFirst(new TraceScript()))
      .input(1, 'propose', { lastIndex: 2 })
      .ready(1, { entries: [first], messages: [append([1, 1], [first])] })
      .input(1, 'propose', { lastIndex: 3 })
      .ready(1, { entries: [second], messages: [append([2, 1], [second])] })
      .receive(append([2, 1], [second]))
      .receive(append([1, 1], [first]), { lastIndex: 2 })
      .receive(append([2, 1], [second]), { lastIndex: 3 })
      .receive(append([1, 1], [first]))
      .done(2, {
        entries: [first, second],
        messagesAfterPersist: [between(2, 1, 1).appendReply(3)],
      })
      .receive(between(2, 1, 1).appendReply(3), {});
  },
  'a restart that finds a part of a write that was under way': () =>
    commitNoop(electFirst(new TraceScript()))
      .input(1, 'propose', { lastIndex: 3 })
      .ready(1, { entries: [command(2, 1), command(3, 1)] })
      .start(1, { term: 1, vote: 1, commit: 1, entries: [noop(1, 1), command(2, 1)] }),
  'scenario 5: a PreVote that is refused': () => {
    const asked = between(3, 2, 0).preVote();
    return commitNoop(electFirst(new TraceScript()))
      .input(3, 'tick', { role: 'preCandidate' })
      .ready(3, { messages: [asked] })
      .receive(asked)
      .ready(2, { messages: [between(2, 3, 1).preVoteReply(false, 0)] })
      .receive(between(2, 3, 1).preVoteReply(false, 0), { role: 'follower', term: 1 });
  },
  'scenario 17: a follower whose entries of a lost leader are replaced': () => {
    const { append } = between(1, 3, 1);
    return commitNoop(electFirst(new TraceScript([1, 2, 3])))
      .receive(append([0, 0], [noop(1, 1)]), { term: 1, leader: 1, lastIndex: 1 })
      .done(3, {
        hardState: { term: 1, vote: undefined },
        entries: [noop(1, 1)],
        messagesAfterPersist: [between(3, 1, 1).appendReply(1)],
      })
      .receive(append([1, 1], [], 1), { commit: 1 })
      .ready(3, { committed: { from: 1, toInclusive: 1 } });
  },
  'a change of voters through a joint configuration': () => {
    const joint = change(2, 1, configurationOf([1, 2], [1, 2, 3]));
    const final = change(3, 1, configurationOf([1, 2]));
    const { append } = between(1, 2, 1);
    const reply = between(2, 1, 1);
    return commitNoop(electFirst(new TraceScript()))
      .input(1, 'changeConfiguration', { lastIndex: 2 }, joint)
      .done(1, { entries: [joint], messages: [append([1, 1], [joint], 1)] })
      .receive(append([1, 1], [joint], 1), { lastIndex: 2, commit: 1 })
      .done(2, {
        entries: [joint],
        messagesAfterPersist: [reply.appendReply(2)],
        committed: { from: 1, toInclusive: 1 },
      })
      .receive(reply.appendReply(2), { commit: 2 })
      .input(1, 'tick', { lastIndex: 3 }, final)
      .done(1, { entries: [final], messages: [append([2, 1], [final], 2)] })
      .receive(append([2, 1], [final], 2), { lastIndex: 3, commit: 2 })
      .done(2, { entries: [final], messagesAfterPersist: [reply.appendReply(3)] })
      .receive(reply.appendReply(3), { commit: 3 });
  },
  'scenarios 18 and 45: compaction, a snapshot that is installed, and one that is not needed':
    () => {
      const append = between(1, 3, 1).append([1, 1], [command(2, 1)], 1);
      return commitNoop(electFirst(new TraceScript()))
        .input(1, 'propose', { lastIndex: 2, firstIndex: 2 })
        .ready(1, {
          entries: [command(2, 1)],
          messages: [between(1, 3, 1).installSnapshot(1)],
        })
        .receive(between(1, 3, 1).installSnapshot(1), { term: 1, leader: 1 })
        .done(3, { hardState: { term: 1, vote: undefined } })
        .offerSnapshot(3, { index: 1, term: 1, answer: 'install' })
        .start(3, { term: 1, base: { index: 1, term: 1 } })
        .ready(1, { messages: [append] })
        .receive(append, { leader: 1, lastIndex: 2 })
        .done(3, {
          entries: [command(2, 1)],
          messagesAfterPersist: [between(3, 1, 1).appendReply(2)],
        })
        .offerSnapshot(3, { index: 1, term: 1, answer: 'notNeeded' })
        .receive(between(3, 1, 1).appendReply(2), {});
    },
  'an install by a member that has not heard of the term of the snapshot': () =>
    commitNoop(electFirst(new TraceScript()))
      .offerSnapshot(3, { index: 1, term: 1, answer: 'install' })
      .start(3, { term: 1, base: { index: 1, term: 1 } }),
  'scenario 47: an install that a crash prevented': () =>
    commitNoop(electFirst(new TraceScript()))
      .offerSnapshot(3, { index: 1, term: 1, answer: 'install' })
      .start(3),
  'a hand-over of leadership': () => {
    const ask = between(1, 2, 1).timeoutNow(1);
    return commitNoop(electFirst(new TraceScript()))
      .input(1, 'transferLeadership', {})
      .ready(1, { messages: [ask] })
      .receive(ask, { role: 'candidate', term: 2, vote: 2, leader: undefined })
      .done(2, {
        hardState: { term: 2, vote: 2 },
        messagesAfterPersist: [between(2, 1, 2).vote(1, 1, true)],
      })
      .receive(between(2, 1, 2).vote(1, 1, true), {
        role: 'follower',
        term: 2,
        vote: 2,
        leader: undefined,
      })
      .done(1, {
        hardState: { term: 2, vote: 2 },
        messagesAfterPersist: [between(1, 2, 2).voteReply()],
      })
      .receive(between(1, 2, 2).voteReply(), { role: 'leader', leader: 2, lastIndex: 2 });
  },
  'a message of a leader that stepped down before it left': () =>
    commitNoop(electFirst(new TraceScript()))
      .input(1, 'tick', { role: 'follower', leader: undefined })
      .ready(1, { messages: appendsOfFirst([1, 1], [], 1) }),
  'scenario 78: a single voter that commits by itself after its own write': () =>
    new TraceScript([1])
      .input(1, 'tick', { role: 'candidate', term: 1, vote: 1 })
      .ready(1, { hardState: { term: 1, vote: 1 } })
      .persisted(1, { role: 'leader', leader: 1, lastIndex: 1 })
      .ready(1, { entries: [noop(1, 1)] })
      .persisted(1, { commit: 1 })
      .ready(1, { committed: { from: 1, toInclusive: 1 } }),
};

describe('the specification allows', () => {
  for (const [name, trace] of Object.entries(good))
    it(name, () => {
      const { events } = requireTracesAllowed(trace().files(), { electionTicks: 1_000 });
      const lines = trace()
        .files()
        .flatMap(({ text }) => text.trim().split('\n'));
      expect(events).toBe(lines.length);
    });

  it('files in any order, since causes order the events', () => {
    const files = commitNoop(electFirst(new TraceScript())).files();
    requireTracesAllowed(files.reverse());
  });
});

describe('a trace file', () => {
  it('may end in a line that the end of the process cut off', () => {
    const files = commitNoop(electFirst(new TraceScript())).files();
    requireTracesAllowed(
      files.map(({ name, text }) => ({ name, text: `${text}{"member":1,"event":"rec` })),
    );
  });

  it('may go on with a start after a line that was cut off', () => {
    const script = commitNoop(electFirst(new TraceScript()));
    const again = script
      .start(3)
      .files()
      .map(({ name, text }) => ({
        name,
        text: text.replace(/\n(?=.*"start".*\n$)/, '\n{"member":3,"eve\n'),
      }));
    expect(again.some(({ text }) => text.includes('"eve\n'))).toBe(true);
    requireTracesAllowed(again);
  });

  it('holds nothing else', () => {
    const [first] = electFirst(new TraceScript()).files();
    const files = [{ name: 'broken.ndjson', text: `nonsense\n{"member":1}\n${first?.text}` }];
    expect(() => checkTraces(files)).toThrow(/broken.ndjson:1 is no event/);
  });
});
