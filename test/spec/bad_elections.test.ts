import { describeForbidden } from './forbidden.ts';
import {
  between,
  campaignOfFirst,
  command,
  commitNoop,
  configurationOf,
  electFirst,
  noop,
  TraceScript,
} from './trace_script.ts';

describeForbidden({
  'two votes in one term': {
    trace: () =>
      campaignOfFirst(new TraceScript())
        .input(3, 'tick', { role: 'preCandidate', ticks: 10 })
        .ready(3, { messages: [between(3, 1, 0).preVote(), between(3, 2, 0).preVote()] })
        .receive(between(1, 3, 1).vote(), { role: 'follower', term: 1, vote: 1 })
        .receive(between(1, 3, 1).vote(), { vote: 3 }),
    reason: /vote in term 1 became 3 without a request/,
  },
  'a vote for a second candidate of the term': {
    trace: () =>
      new TraceScript()
        .input(3, 'tick', { role: 'preCandidate' })
        .ready(3, { messages: [between(3, 2, 0).preVote()] })
        .receive(between(3, 2, 0).preVote())
        .ready(2, { messages: [between(2, 3, 0).preVoteReply()] })
        .input(1, 'tick', { role: 'preCandidate' })
        .ready(1, { messages: [between(1, 2, 0).preVote()] })
        .receive(between(1, 2, 0).preVote())
        .ready(2, { messages: [between(2, 1, 0).preVoteReply()] })
        .receive(between(2, 1, 0).preVoteReply(), { role: 'candidate', term: 1, vote: 1 })
        .done(1, {
          hardState: { term: 1, vote: 1 },
          messagesAfterPersist: [between(1, 2, 1).vote()],
        })
        .receive(between(2, 3, 0).preVoteReply(), { role: 'candidate', term: 1, vote: 3 })
        .done(3, {
          hardState: { term: 1, vote: 3 },
          messagesAfterPersist: [between(3, 2, 1).vote()],
        })
        .receive(between(1, 2, 1).vote(), { term: 1, vote: 1 })
        .receive(between(3, 2, 1).vote(), { vote: 3 }),
    reason: /votes for 3 in term 1, in which it voted for 1/,
  },
  'a vote for a log that is behind': {
    trace: () =>
      new TraceScript([1, 2, 3], {
        1: { term: 1, entries: [noop(1, 1)] },
        2: { term: 1, entries: [noop(1, 1), command(2, 1)] },
        3: { term: 1 },
      })
        .input(1, 'tick', { role: 'preCandidate' })
        .ready(1, { messages: [between(1, 3, 1).preVote(1, 1)] })
        .receive(between(1, 3, 1).preVote(1, 1))
        .ready(3, { messages: [between(3, 1, 1).preVoteReply()] })
        .receive(between(3, 1, 1).preVoteReply(), { role: 'candidate', term: 2, vote: 1 })
        .done(1, {
          hardState: { term: 2, vote: 1 },
          messagesAfterPersist: [between(1, 2, 2).vote(1, 1)],
        })
        .receive(between(1, 2, 2).vote(1, 1), { term: 2, vote: 1 }),
    reason: /votes for a log that ends at 1 of term 1, and its own ends at 2 of term 1/,
  },
  'a vote that leaves before it is durable': {
    trace: () =>
      electedBy(new TraceScript())
        .receive(between(1, 2, 1).vote(), { term: 1, vote: 1 })
        .ready(2, {
          hardState: { term: 1, vote: 1 },
          messages: [between(2, 1, 1).voteReply()],
        }),
    reason: /shows term 1, and the term on disk is 0/,
  },
  'a vote in a durable term that leaves before it is durable': {
    trace: () =>
      electedBy(new TraceScript())
        .receive(between(1, 2, 1).vote(), { term: 1 })
        .done(2, { hardState: { term: 1, vote: undefined } })
        .receive(between(1, 2, 1).vote(), { vote: 1 })
        .ready(2, {
          hardState: { term: 1, vote: 1 },
          messages: [between(2, 1, 1).voteReply()],
        }),
    reason: /voteReply leaves before the vote for member 1 in term 1 is durable/,
  },
  'a vote that is told and was never cast': {
    trace: () =>
      electedBy(new TraceScript())
        .receive(between(1, 2, 1).vote(), { term: 1 })
        .ready(2, {
          hardState: { term: 1, vote: undefined },
          messagesAfterPersist: [between(2, 1, 1).voteReply()],
        }),
    reason: /a vote in term 1 that it did not cast/,
  },
  'a vote that is not written at all': {
    trace: () =>
      electedBy(new TraceScript())
        .receive(between(1, 2, 1).vote(), { term: 1, vote: 1 })
        .ready(2, {
          hardState: { term: 1, vote: undefined },
          messagesAfterPersist: [between(2, 1, 1).voteReply()],
        }),
    reason: /does not write its term 1 and vote 1/,
  },
  'a vote that is gone after a restart': {
    trace: () => campaignOfFirst(new TraceScript()).start(2, { term: 1 }),
    reason: /starts with term 1, vote none .* durable were term 1, vote 1/,
  },
  'entries that are gone after a restart': {
    trace: () =>
      commitNoop(electFirst(new TraceScript())).start(2, { term: 1, vote: 1, entries: [] }),
    reason: /no part of the 0 writes under way leads there/,
  },
  'a campaign that nobody encouraged': {
    trace: () =>
      new TraceScript()
        .input(1, 'tick', { role: 'preCandidate' })
        .input(1, 'tick', { role: 'candidate', term: 1, vote: 1 }),
    reason: /campaigns with the PreVotes of 1 only/,
  },
  'a PreVote for a log that is behind': {
    trace: () =>
      new TraceScript([1, 2, 3], { 2: { term: 1, entries: [noop(1, 1)] } })
        .input(1, 'tick', { role: 'preCandidate' })
        .ready(1, { messages: [between(1, 2, 0).preVote()] })
        .receive(between(1, 2, 0).preVote())
        .ready(2, { messages: [between(2, 1, 1).preVoteReply(true, 0)] }),
    reason: /grants a PreVote to member 1 for which its log or term allows none/,
  },
  'a leader without a quorum of votes': {
    trace: () =>
      campaignOfFirst(new TraceScript()).persisted(1, {
        role: 'leader',
        leader: 1,
        lastIndex: 1,
      }),
    reason: /leads term 1 with the votes of 1 only/,
  },
  'a leader whose own vote is not durable': {
    trace: () =>
      new TraceScript([1])
        .input(1, 'tick', { role: 'candidate', term: 1, vote: 1 })
        .ready(1, { hardState: { term: 1, vote: 1 } })
        .input(1, 'tick', { role: 'leader', lastIndex: 1 }),
    reason: /leads term 1 with the votes of nobody only/,
  },
  'a leader that never campaigned': {
    trace: () => new TraceScript().input(1, 'tick', { role: 'leader', lastIndex: 1 }),
    reason: /leads term 0 without having campaigned/,
  },
  'a learner that campaigns': {
    trace: () =>
      new TraceScript()
        .start(4, { configuration: configurationOf([1, 2, 3], [], [4]) })
        .input(4, 'tick', { role: 'preCandidate' }),
    reason: /campaigns without a vote/,
  },
  'a term that falls': {
    trace: () => campaignOfFirst(new TraceScript()).input(2, 'tick', { term: 0 }),
    reason: /term went back from 1 to 0/,
  },
  'a term from nowhere': {
    trace: () => new TraceScript().input(2, 'tick', { term: 5 }),
    reason: /term became 5 without a message/,
  },
});

/** Members 1 and 3 are told of a campaign that members 1 and 2 began. */
function electedBy(script: TraceScript): TraceScript {
  return script
    .input(1, 'tick', { role: 'preCandidate', ticks: 10 })
    .ready(1, { messages: [between(1, 3, 0).preVote()] })
    .receive(between(1, 3, 0).preVote())
    .ready(3, { messages: [between(3, 1, 0).preVoteReply()] })
    .receive(between(3, 1, 0).preVoteReply(), { role: 'candidate', term: 1, vote: 1 })
    .done(1, {
      hardState: { term: 1, vote: 1 },
      messagesAfterPersist: [between(1, 2, 1).vote()],
    });
}
