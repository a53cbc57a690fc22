import type { TraceConfiguration } from '../../src/driver/trace.ts';

/** A majority of the voters and, while the configuration is joint, one of those that leave (section 4.3). */
export function isQuorum(
  { voters, outgoing }: TraceConfiguration,
  agrees: (member: number) => boolean,
): boolean {
  const halves = outgoing.length === 0 ? [voters] : [voters, outgoing];
  return halves.every((half) => 2 * half.filter(agrees).length > half.length);
}

export function votesIn({ voters, outgoing }: TraceConfiguration, member: number): boolean {
  return voters.includes(member) || outgoing.includes(member);
}

export function sameConfiguration(left: TraceConfiguration, right: TraceConfiguration): boolean {
  return describeConfiguration(left) === describeConfiguration(right);
}

/** `voters 1, 2, 3 and 1, 2; learners 4` */
export function describeConfiguration(configuration: TraceConfiguration): string {
  const { voters, outgoing, learners } = configuration;
  const joint = outgoing.length === 0 ? '' : ` and ${outgoing.join(', ')}`;
  const others = learners.length === 0 ? '' : `; learners ${learners.join(', ')}`;
  return `voters ${voters.join(', ')}${joint}${others}`;
}

/** Why one configuration may not follow another; undefined when it may. */
export function forbiddenStep(
  before: TraceConfiguration,
  after: TraceConfiguration,
): string | undefined {
  const from = before.voters.join();
  const to = after.voters.join();
  if (after.voters.length === 0) return 'the new configuration has no voter';
  if (after.outgoing.length > 0) {
    if (before.outgoing.length > 0) return 'a joint configuration follows a joint one';
    if (after.outgoing.join() !== from)
      return 'the outgoing half of a joint configuration is not the one before it';
    return undefined;
  }
  if (to === from) return undefined;
  return before.outgoing.length > 0
    ? 'the final configuration is not the incoming half of the joint one'
    : 'the voters change without a joint configuration';
}
