/** What must never happen in a cluster did. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

export function violated(invariant: string, details: string): never {
  throw new InvariantViolation(`${invariant}: ${details}`);
}
