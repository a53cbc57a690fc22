import type { Model } from './history.ts';

export type RegisterInput =
  | { readonly kind: 'read'; readonly key: string }
  | { readonly kind: 'write'; readonly key: string; readonly value: number }
  | {
      readonly kind: 'cas';
      readonly key: string;
      readonly expected: number | null;
      readonly value: number;
    };

/** A read answers the value, null before the first write; a cas whether it took effect. */
export type RegisterOutput = number | null | boolean;

/** Independent registers, one for each key; each begins as null. */
export const registers: Model<{ readonly value: number | null }, RegisterInput, RegisterOutput> = {
  initial: { value: null },
  step(state, input, output) {
    switch (input.kind) {
      case 'read':
        return output === undefined || output === state.value ? state : undefined;
      case 'write':
        return input.value === state.value ? state : { value: input.value };
      case 'cas': {
        const matches = state.value === input.expected;
        if (output !== undefined && output !== matches) return undefined;
        return matches ? { value: input.value } : state;
      }
    }
  },
  key: ({ value }) => String(value),
  objectOf: ({ key }) => key,
  // The last write decides alone.
  helps: () => false,
  describe(input, output) {
    const { kind, key } = input;
    if (kind === 'read') return `reads ${key} → ${output === undefined ? 'unknown' : output}`;
    if (kind === 'write') return `writes ${key} = ${input.value}`;
    const answer = output === undefined ? 'unknown' : output;
    return `sets ${key} from ${input.expected} to ${input.value} → ${answer}`;
  },
};
