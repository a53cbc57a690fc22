import { describeForbidden } from './forbidden.ts';
import {
  appendsOfFirst,
  between,
  campaignOfFirst,
  change,
  command,
  commitNoop,
  configurationOf,
  electFirst,
  noop,
  TraceScript,
} from './trace_script.ts';

describeForbidden({
  'a message that nobody sent': {
    trace: () => new TraceScript().receive(between(1, 2, 1).append([0, 0], []), { term: 1 }),
    reason: /receives a append of term 1 that member 1 never sent so/,
  },
  'a commit that no quorum holds': {
    trace: () => electFirst(new TraceScript()).persisted(1, { commit: 1 }),
    reason: /commits index 1 which no quorum holds: 1 to 1/,
  },
  'a leader that counts its own log before it is durable': {
    trace: () =>
      electFirst(new TraceScript())
        .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { leader: 1, lastIndex: 1 })
        .done(2, {
          entries: [noop(1, 1)],
          messagesAfterPersist: [between(2, 1, 1).appendReply(1)],
        })
        .receive(between(2, 1, 1).appendReply(1), { commit: 1 }),
    reason: /commits index 1 which no quorum holds: 1 to 0, 2 to 1/,
  },
  'scenario 1: an entry of an old term committed by counting': {
    trace: figure8,
    reason: /commits index 2 of term 2 by counting, in term 4/,
  },
  'a commit beyond what was compared with the leader': {
    trace: () =>
      commitNoop(
        electFirst(
          new TraceScript([1, 2, 3], { 3: { term: 1, entries: [noop(1, 1), command(2, 1)] } }),
        ),
      ).receive(between(1, 3, 1).append([1, 1], [], 1), { leader: 1, commit: 2 }),
    reason: /commits index 2, and was told of 1 only/,
  },
  'a commit index that falls': {
    trace: () => commitNoop(electFirst(new TraceScript())).input(1, 'tick', { commit: 0 }),
    reason: /commit index went back from 1 to 0/,
  },
  'a committed entry that is truncated': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).input(1, 'tick', {
        role: 'follower',
        lastIndex: 0,
      }),
    reason: /truncates its log to 0, and index 1 is committed/,
  },
  'a leader that truncates its log': {
    trace: () => electFirst(new TraceScript()).input(1, 'tick', { lastIndex: 0 }),
    reason: /a leader truncates its log/,
  },
  'scenario 16: an old append that deletes what follows it': {
    trace: () =>
      commitNoop(electFirst(new TraceScript()))
        .input(1, 'propose', { lastIndex: 2 })
        .ready(1, { entries: [command(2, 1)], messages: appendsOfFirst([1, 1], [command(2, 1)]) })
        .receive(between(1, 2, 1).append([1, 1], [command(2, 1)]), { lastIndex: 2 })
        .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { lastIndex: 1 }),
    reason: /log ends at 1, and nothing leads there from 2/,
  },
  'a log that grows by itself': {
    trace: () => new TraceScript().input(2, 'tick', { lastIndex: 1 }),
    reason: /log ends at 1, and nothing leads there from 0/,
  },
  'an acknowledgement before the entries are durable': {
    trace: () =>
      electFirst(new TraceScript())
        .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { leader: 1, lastIndex: 1 })
        .ready(2, { entries: [noop(1, 1)], messages: [between(2, 1, 1).appendReply(1)] }),
    reason: /acknowledges index 1, and its log is durable up to 0/,
  },
  'an acknowledgement of more than was compared': {
    trace: () =>
      electFirst(new TraceScript())
        .start(2, { term: 1, vote: 1, entries: [] })
        .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { leader: 1, lastIndex: 1 })
        .ready(2, {
          entries: [noop(1, 1)],
          messagesAfterPersist: [between(2, 1, 1).appendReply(2)],
        }),
    reason: /acknowledges index 2 in term 1, and has compared/,
  },
  'entries that are never written': {
    trace: () =>
      electFirst(new TraceScript())
        .receive(between(1, 2, 1).append([0, 0], [noop(1, 1)]), { leader: 1, lastIndex: 1 })
        .ready(2, { messagesAfterPersist: [between(2, 1, 1).appendReply(1)] }),
    reason: /writes lead to another log than its own/,
  },
  'an append of entries that the leader does not hold': {
    trace: () =>
      electFirst(new TraceScript()).ready(1, {
        messages: [between(1, 2, 1).append([0, 0], [noop(1, 1), command(2, 1)])],
      }),
    reason: /holds another entry at index 2 than its log/,
  },
  'an append of a member that does not lead': {
    trace: () =>
      campaignOfFirst(new TraceScript()).ready(1, {
        messages: [between(1, 2, 1).append([0, 0], [])],
      }),
    reason: /sends a append of term 1, which it does not lead/,
  },
  'a heartbeat that tells of more than the follower holds': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).ready(1, {
        messages: [between(1, 3, 1).heartbeat(1)],
      }),
    reason: /heartbeat to member 3 tells of commits up to 1, and it may tell of 0 only/,
  },
  'two entries at one position': {
    trace: () =>
      electFirst(new TraceScript([1, 2, 3], { 3: { term: 1, entries: [command(1, 1, 77)] } })),
    reason: /log matching: index 1 of term 1 exists in two versions/,
  },
  'entries applied before they are committed': {
    trace: () =>
      electFirst(new TraceScript())
        .persisted(1)
        .ready(1, { committed: { from: 1, toInclusive: 1 } }),
    reason: /applies index 1, and knows of commits up to 0 only/,
  },
  'entries applied twice': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).ready(1, {
        committed: { from: 1, toInclusive: 1 },
      }),
    reason: /applies from 1 on after 1/,
  },
  'compaction of what was not applied': {
    trace: () => electFirst(new TraceScript()).input(1, 'tick', { firstIndex: 2 }),
    reason: /compacts up to 1, and was told to apply no further than 0/,
  },
  'voters that change without a joint configuration': {
    trace: () => changed([change(2, 1, configurationOf([1, 2, 3, 4]))]),
    reason: /voters change without a joint configuration/,
  },
  'a joint configuration whose outgoing half is invented': {
    trace: () => changed([change(2, 1, configurationOf([1, 2, 4], [1, 2]))]),
    reason: /outgoing half of a joint configuration is not the one before it/,
  },
  'scenario 55: a change while another is not committed': {
    trace: () =>
      changed([
        change(2, 1, configurationOf([1, 2, 4], [1, 2, 3])),
        change(3, 1, configurationOf([1, 2, 4])),
      ]),
    reason: /while the one at index 2 is not committed/,
  },
  'scenario 54: a change before anything of the term is committed': {
    trace: () =>
      electFirst(new TraceScript()).input(
        1,
        'changeConfiguration',
        { lastIndex: 2 },
        change(2, 1, configurationOf([1, 2, 3], [], [4])),
      ),
    reason: /before it committed an entry of term 1/,
  },
  'a commit in a joint configuration without a majority of the new half': {
    trace: () =>
      changed([change(2, 1, configurationOf([1, 4, 5], [1, 2, 3]))])
        .ready(1, {
          entries: [change(2, 1, configurationOf([1, 4, 5], [1, 2, 3]))],
          messages: [
            between(1, 2, 1).append([1, 1], [change(2, 1, configurationOf([1, 4, 5], [1, 2, 3]))]),
          ],
        })
        .persisted(1)
        .receive(
          between(1, 2, 1).append([1, 1], [change(2, 1, configurationOf([1, 4, 5], [1, 2, 3]))]),
          { lastIndex: 2 },
        )
        .done(2, {
          entries: [change(2, 1, configurationOf([1, 4, 5], [1, 2, 3]))],
          messagesAfterPersist: [between(2, 1, 1).appendReply(2)],
        })
        .receive(between(2, 1, 1).appendReply(2), { commit: 2 }),
    reason: /commits index 2 which no quorum holds: .* in voters 1, 4, 5 and 1, 2, 3/,
  },
  'scenario 56: a configuration that stays in force when its entry is not in the log': {
    trace: () =>
      electFirst(new TraceScript()).input(
        1,
        'tick',
        {},
        change(1, 1, configurationOf([1, 2, 3], [], [4])),
      ),
    reason: /configuration at index 1 is in force, and the last one in its log is at 0/,
  },
  'a hand-over to a member that is behind': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).ready(1, {
        messages: [between(1, 3, 1).timeoutNow(1)],
      }),
    reason: /asks member 3 to take over at index 1, which that holds up to 0 only/,
  },
  'scenario 46: a snapshot of another history': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).offerSnapshot(3, {
        index: 1,
        term: 7,
        answer: 'install',
      }),
    reason: /snapshot at index 1 of term 7, which is not what was committed there/,
  },
  'scenario 45: a snapshot of what is there already': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).offerSnapshot(1, {
        index: 1,
        term: 1,
        answer: 'install',
      }),
    reason: /installs a snapshot at index 1, which its log holds/,
  },
  'an install that forgets the vote': {
    trace: () =>
      commitNoop(electFirst(new TraceScript([1, 2, 3], { 3: { term: 1, vote: 1 } })))
        .offerSnapshot(3, { index: 1, term: 1, answer: 'install' })
        .start(3, { term: 1, base: { index: 1, term: 1 } }),
    reason: /starts with term 1, vote none/,
  },
  'a snapshot at an index that nobody committed': {
    trace: () => new TraceScript().offerSnapshot(3, { index: 9, term: 1, answer: 'install' }),
    reason: /an index that nobody committed/,
  },
  'scenario 10: a leader that nobody answers and that goes on': {
    trace: () => commitNoop(electFirst(new TraceScript())).input(1, 'tick', { ticks: 40 }),
    reason: /still leads term 1, and has heard no quorum for more than 20 ticks/,
  },
});

/** The leader of term 1, with its no-op committed, appends configurations one after another. */
function changed(entries: readonly ReturnType<typeof change>[]): TraceScript {
  const script = commitNoop(electFirst(new TraceScript()));
  for (const entry of entries)
    script.input(1, 'changeConfiguration', { lastIndex: entry.index }, entry);
  return script;
}

/**
 * Figure 8 (c): member 1 leads again, in term 4, and finds its entry of term 2 on a majority. It may commit it
 * only with an entry of term 4.
 */
function figure8(): TraceScript {
  const old = [noop(1, 1), command(2, 2)];
  const { preVote, vote, append } = between(1, 3, 4);
  const reply = between(3, 1, 4);
  const starts = { 1: { term: 3, entries: old }, 3: { term: 3, entries: old.slice(0, 1) } };
  return new TraceScript([1, 2, 3], starts)
    .input(1, 'tick', { role: 'preCandidate' })
    .ready(1, { messages: [{ ...preVote(2, 2), term: 3 }] })
    .receive({ ...preVote(2, 2), term: 3 })
    .ready(3, { messages: [between(3, 1, 3).preVoteReply()] })
    .receive(between(3, 1, 3).preVoteReply(), { role: 'candidate', term: 4, vote: 1 })
    .done(1, { hardState: { term: 4, vote: 1 }, messagesAfterPersist: [vote(2, 2)] })
    .receive(vote(2, 2), { term: 4, vote: 1 })
    .done(3, { hardState: { term: 4, vote: 1 }, messagesAfterPersist: [reply.voteReply()] })
    .receive(reply.voteReply(), { role: 'leader', leader: 1, lastIndex: 3 })
    .done(1, { entries: [noop(3, 4)], messages: [append([1, 1], [command(2, 2)])] })
    .receive(append([1, 1], [command(2, 2)]), { leader: 1, lastIndex: 2 })
    .done(3, { entries: [command(2, 2)], messagesAfterPersist: [reply.appendReply(2)] })
    .receive(reply.appendReply(2), { commit: 2 });
}
