import { describe, expect, test } from 'vitest';
import { median, quantile, silenceAround } from '../../../src/lab/measure.ts';

describe('the silence around an event', () => {
  test('is the gap between the last time before and the first after', () => {
    expect(silenceAround(Float64Array.of(1, 5, 9, 300, 301), 10)).toBe(291);
  });

  test('what was on its way does not end it', () => {
    expect(silenceAround(Float64Array.of(1, 9, 11, 12, 400, 401), 10)).toBe(388);
  });

  test('a later pause does not belong to it', () => {
    expect(silenceAround(Float64Array.of(9, 100, 600, 1100, 9000), 10)).toBe(500);
  });

  test('nothing after is undefined, nothing before counts from the event', () => {
    expect(silenceAround(Float64Array.of(1, 5), 10)).toBeUndefined();
    expect(silenceAround(Float64Array.of(15), 10)).toBe(5);
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
