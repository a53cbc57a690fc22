/**
 * One position of the Raft log. Data is an encoded command envelope or an encoded configuration
 * (types/configuration.ts); a no-op has none.
 */
export interface Entry {
  /** From 1, without gaps. */
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

export type EntryType = 'noop' | 'command' | 'configuration';

/** What a Raft member must have durable before it answers. */
export interface HardState {
  readonly term: number;
  /** Member voted for in this term; undefined when none. */
  readonly vote: MemberId | undefined;
}

/** Number of a member, from 1; never used again after the member is gone. */
export type MemberId = number;
