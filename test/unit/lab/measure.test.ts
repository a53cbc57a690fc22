import { describe, expect, test } from 'vitest';
import { interruptionBy, median, quantile } from '../../../src/lab/measure.ts';

describe('the interruption by an event', () => {
  test('is the gap between the last time before and the first after', () => {
    expect(interruptionBy(10, Float64Array.of(1, 5, 9, 300, 301))).toEqual({
      silenceMs: 291,
      recoveredMs: 290,
    });
  });

  test('what was on its way does not end it', () => {
    expect(interruptionBy(10, Float64Array.of(1, 9, 11, 12, 400, 401))).toEqual({
      silenceMs: 388,
      recoveredMs: 390,
    });
  });

  test('a later pause does not belong to it', () => {
    expect(interruptionBy(10, Float64Array.of(9, 100, 600, 1100, 9000))?.silenceMs).toBe(500);
  });

  test('nothing after is undefined, nothing before counts from the event', () => {
    expect(interruptionBy(10, Float64Array.of(1, 5))).toBeUndefined();
    expect(interruptionBy(10, Float64Array.of(15))?.silenceMs).toBe(5);
  });
});

test('median and quantile', () => {
  expect(median([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([], 0.5)).toBeUndefined();
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
});
