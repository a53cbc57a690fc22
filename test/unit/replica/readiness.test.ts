import { describe, expect, it } from 'vitest';
import { ReadinessWatch } from '../../../src/replica/readiness.ts';

const followed = { role: 'follower', term: 1, leader: 2 } as const;
const leaderless = { role: 'follower', term: 1, leader: undefined } as const;

/** Lets everything that is settled take its effect. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function makeWatch(attempts: (() => Promise<void>)[]) {
  const queue = [...attempts];
  const awake = { now: true };
  const watch = new ReadinessWatch({
    catchUp: () => (queue.shift() ?? (() => new Promise<void>(() => undefined)))(),
    pause: async () => undefined,
    isAwake: () => awake.now,
  });
  const seen: string[] = [];
  watch.watch(({ ready, reason }) => seen.push(ready ? 'ready' : reason));
  return { watch, seen, awake };
}

describe('ReadinessWatch', () => {
  it('is ready once it has caught up with its leader, and not without one', async () => {
    const { watch, seen } = makeWatch([async () => undefined]);
    watch.leadershipChanged(followed);
    await settle();
    watch.leadershipChanged(leaderless);
    expect(seen).toEqual(['NO_LEADER', 'CATCHING_UP', 'ready', 'NO_LEADER']);
  });

  it('asks again after a refusal', async () => {
    const refuse = () => Promise.reject(new Error('overloaded'));
    const { watch, seen } = makeWatch([refuse, refuse, async () => undefined]);
    watch.leadershipChanged(followed);
    await settle();
    expect(seen.at(-1)).toBe('ready');
  });

  it('forgets an answer about a leader that it no longer follows', async () => {
    let answer: () => void = () => undefined;
    const late = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    const { watch, seen } = makeWatch([late]);
    watch.leadershipChanged(followed);
    watch.leadershipChanged(leaderless);
    answer();
    await settle();
    expect(seen.at(-1)).toBe('NO_LEADER');
  });

  it('stays fenced, whatever the leader does', async () => {
    const { watch, seen } = makeWatch([async () => undefined]);
    watch.fence('another root');
    watch.leadershipChanged(followed);
    await settle();
    expect(seen).toEqual(['NO_LEADER', 'FENCED']);
    expect(watch.fencedReason).toBe('another root');
  });

  it('is not ready after a pause before its leader is confirmed, even when asked at once', async () => {
    const { watch, seen, awake } = makeWatch([async () => undefined, async () => undefined]);
    watch.leadershipChanged(followed);
    await settle();
    awake.now = false;
    expect(watch.current).toEqual({ ready: false, reason: 'CATCHING_UP' });
    awake.now = true;
    await settle();
    expect(watch.current.ready).toBe(true);
    expect(seen).toEqual(['NO_LEADER', 'CATCHING_UP', 'ready', 'CATCHING_UP', 'ready']);
  });

  it('says that it joins until the cluster has taken it in', async () => {
    const { watch, seen } = makeWatch([async () => undefined]);
    watch.joining(true);
    watch.leadershipChanged(followed);
    await settle();
    watch.joining(false);
    expect(seen).toEqual(['NO_LEADER', 'JOINING', 'ready']);
  });

  it('says that it was removed, and then that it stops', async () => {
    const { watch, seen } = makeWatch([async () => undefined]);
    watch.leadershipChanged(followed);
    await settle();
    watch.removed();
    watch.leadershipChanged(leaderless);
    watch.stop();
    expect(seen.slice(2)).toEqual(['ready', 'REMOVED', 'STOPPING']);
  });
});
