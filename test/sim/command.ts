import type { RegisterInput } from '../linearizability/register_model.ts';

/** What a client asks the state machine to do. Asked twice under one request number it is done once. */
export interface Command {
  /** Tells this attempt from all others, also of the same request. */
  readonly number: number;
  readonly client: number;
  /** Rises with each request of a client. */
  readonly request: number;
  readonly input: Exclude<RegisterInput, { kind: 'read' }>;
}

const FIXED_BYTES = 24;
const NOTHING = 0xffff_ffff;

/** Registers are named `r0`, `r1` and so on. */
export function registerKey(register: number): string {
  return `r${register}`;
}

export function registerOf(key: string): number {
  return Number(key.slice(1));
}

/** The padding makes entries of different sizes. */
export function encodeCommand(command: Command, paddingBytes: number): Uint8Array {
  const { number, client, request, input } = command;
  const data = new Uint8Array(FIXED_BYTES + paddingBytes);
  const view = new DataView(data.buffer);
  view.setUint32(0, number);
  view.setUint16(4, client);
  view.setUint16(6, registerOf(input.key));
  view.setUint32(8, request);
  view.setUint32(12, input.value);
  view.setUint32(16, input.kind === 'cas' ? (input.expected ?? NOTHING) : 0);
  view.setUint8(20, input.kind === 'cas' ? 1 : 0);
  return data;
}

export function decodeCommand(data: Uint8Array): Command {
  const view = new DataView(data.buffer, data.byteOffset);
  const key = registerKey(view.getUint16(6));
  const value = view.getUint32(12);
  const expected = view.getUint32(16);
  return {
    number: view.getUint32(0),
    client: view.getUint16(4),
    request: view.getUint32(8),
    input:
      view.getUint8(20) === 1
        ? { kind: 'cas', key, value, expected: expected === NOTHING ? null : expected }
        : { kind: 'write', key, value },
  };
}
