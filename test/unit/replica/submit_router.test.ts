import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/lib/environment.ts';
import { encodeSubmitResults } from '../../../src/replica/forwarding.ts';
import { SubmitRouter } from '../../../src/replica/submit_router.ts';
import { refusal, refused, type SubmitResult } from '../../../src/types/submission.ts';

/** Time passes only when somebody waits for it. */
class WaitedClock implements Clock {
  now = 0;
  monotonicMs = () => this.now;
  wallMs = () => this.now;
  schedule = (delayMs: number, callback: () => void) => {
    this.now += delayMs;
    queueMicrotask(callback);
    return () => undefined;
  };
}

const hash = new Uint8Array(32).fill(1);
const raw = Uint8Array.of(1);
const admitted: SubmitResult = {
  kind: 'admitted',
  hash,
  alreadyKnown: false,
  state: { state: 'pending' },
};
const known: SubmitResult = { ...admitted, alreadyKnown: true };
const NOT_SENT = new Error('not sent');

function makeRouter(script: {
  leaders: (number | undefined)[];
  here?: () => Promise<SubmitResult[]>;
  ask?: (() => Promise<Uint8Array>)[];
}) {
  const leaders = [...script.leaders];
  const asks = [...(script.ask ?? [])];
  return new SubmitRouter({
    self: 1,
    leader: () => (leaders.length > 1 ? leaders.shift() : leaders[0]),
    submitHere: script.here ?? (async () => [admitted]),
    ask: async () => (asks.shift() ?? (async () => encodeSubmitResults([admitted])))(),
    isNotSent: (thrown) => thrown === NOT_SENT,
    clock: new WaitedClock(),
  });
}

const signal = new AbortController().signal;

describe('SubmitRouter', () => {
  it('submits here when this member leads', async () => {
    expect(await makeRouter({ leaders: [1] }).submit([raw], signal)).toEqual([admitted]);
  });

  it('asks the leader when another member leads', async () => {
    expect(await makeRouter({ leaders: [2] }).submit([raw], signal)).toEqual([admitted]);
  });

  it('waits for a leader to appear', async () => {
    const router = makeRouter({ leaders: [undefined, undefined, 1] });
    expect(await router.submit([raw], signal)).toEqual([admitted]);
  });

  it('submits again what was left open, which is answered as known', async () => {
    const router = makeRouter({
      leaders: [2, 3],
      ask: [
        () => Promise.reject(new Error('connection lost')),
        async () => encodeSubmitResults([known]),
      ],
    });
    expect(await router.submit([raw], signal)).toEqual([known]);
  });

  it('says NOT_ADMITTED when nothing was ever sent', async () => {
    const [result] = await makeRouter({ leaders: [undefined] }).submit([raw], signal);
    expect(result).toMatchObject({ kind: 'refused', refusal: { code: 'NOT_ADMITTED' } });
  });

  it('says OUTCOME_UNKNOWN when one attempt was left open, whatever the later ones say', async () => {
    const router = makeRouter({
      leaders: [2, undefined],
      ask: [() => Promise.reject(new Error('connection lost'))],
    });
    const [result] = await router.submit([raw], signal);
    expect(result).toMatchObject({ kind: 'refused', refusal: { code: 'OUTCOME_UNKNOWN' } });
  });

  it('does not try again what the state refuses', async () => {
    let calls = 0;
    const router = makeRouter({
      leaders: [1],
      here: async () => {
        calls += 1;
        return [refused(refusal('NONCE_TOO_LOW', 'used'))];
      },
    });
    const [result] = await router.submit([raw], signal);
    expect(result).toMatchObject({ kind: 'refused', refusal: { code: 'NONCE_TOO_LOW' } });
    expect(calls).toBe(1);
  });

  it('ends with the client', async () => {
    const gone = AbortSignal.abort(new Error('client left'));
    const [result] = await makeRouter({ leaders: [undefined] }).submit([raw], gone);
    expect(result).toMatchObject({ kind: 'refused', refusal: { code: 'NOT_ADMITTED' } });
  });
});
