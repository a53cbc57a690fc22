import { CodedError } from '../lib/error.ts';

/**
 * CORRUPT: the store lacks a node that a reference names, or holds other bytes: never the same as "absent", the member
 * must repair or fence itself. OVERLOADED: more work waits than may. STOPPED: the trie's thread no longer runs.
 */
export type TrieErrorCode = 'CORRUPT' | 'OVERLOADED' | 'STOPPED';

export class TrieError extends CodedError<TrieErrorCode> {}
