import type { MemberId } from '../types/entry.ts';
import { framed } from './member_message.ts';

/** One byte before every request between members says what it asks for. */
export const REQUEST_KINDS = { submission: 0, snapshot: 1 } as const;

type RequestKind = keyof typeof REQUEST_KINDS;

/** Answers one kind of request; the payload may be a view of a larger buffer. */
type Answer = (payload: Uint8Array, from: MemberId) => Promise<Uint8Array>;

export function requestOf(kind: RequestKind, payload: Uint8Array): Uint8Array {
  return framed(REQUEST_KINDS[kind], payload);
}

/** Gives each request to whoever answers its kind; throws for one that is none. */
export function answerByKind(
  answers: Readonly<Record<RequestKind, Answer>>,
): (from: MemberId, request: Uint8Array) => Promise<Uint8Array> {
  return async (from, request) => {
    const payload = request.subarray(1);
    switch (request[0]) {
      case REQUEST_KINDS.submission:
        return answers.submission(payload, from);
      case REQUEST_KINDS.snapshot:
        return answers.snapshot(payload, from);
      default:
        throw new Error(`unknown kind of request ${request[0]} from member ${from}`);
    }
  };
}
