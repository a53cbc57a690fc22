/** Math.min and Math.max do not take bigints. */
export function smallerBigInt(left: bigint, right: bigint): bigint {
  if (left < right) return left;
  return right;
}

export function largerBigInt(left: bigint, right: bigint): bigint {
  if (left > right) return left;
  return right;
}
