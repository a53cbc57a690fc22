import { expect, it } from 'vitest';
import { PauseWatch } from '../../../src/driver/pause_watch.ts';
import { ManualClock, silent } from '../ledger/chain_fixture.ts';

const PAUSE_MS = 400;

function makeWatch() {
  const clock = new ManualClock();
  let pauses = 0;
  const watch = new PauseWatch(
    { pauseMs: PAUSE_MS },
    {
      clock,
      logger: silent,
      onPause: () => {
        pauses += 1;
      },
    },
  );
  watch.start();
  return { clock, watch, pauses: () => pauses };
}

it('says nothing while the process runs', () => {
  const { clock, watch, pauses } = makeWatch();
  for (let step = 0; step < 20; step += 1) {
    clock.advance(PAUSE_MS / 4);
    expect(watch.isAwake).toBe(true);
  }
  expect(pauses()).toBe(0);
});

it('knows of a pause before the first timer after it, and tells of it once', () => {
  const { clock, watch, pauses } = makeWatch();
  clock.nowMs += 10 * PAUSE_MS;
  expect([watch.isAwake, pauses()]).toEqual([false, 0]);
  clock.advance(0);
  expect([watch.isAwake, pauses()]).toEqual([true, 1]);
  clock.advance(PAUSE_MS / 4);
  expect(pauses()).toBe(1);
});

it('leaves no timer behind', () => {
  const { clock, watch } = makeWatch();
  watch.stop();
  expect(clock.timers).toBe(0);
});
