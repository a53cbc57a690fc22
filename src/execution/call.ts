import { smallerBigInt } from '../lib/bigint.ts';
import { bytesToBigInt } from '../lib/bytes.ts';
import { type Address, EMPTY_CODE_HASH } from '../types/primitives.ts';
import type { BlockContext } from './block_context.ts';
import { floorGas, gasShape, intrinsicGas, minimumGasLimitFor } from './fees.ts';
import type { FlatState } from './flat_state.ts';
import { evmBlock, type MessageResult, runMessage } from './message_call.ts';
import type { RuleBook } from './rules.ts';

/** Gas of a call that names no limit, and the most that any call gets: it shares its thread with blocks. */
export const CALL_GAS_MAX = 30_000_000n;
/** Runs of one estimate, and gas of all of them together, at most. */
const ESTIMATE_RUNS_MAX = 24;
const ESTIMATE_GAS_MAX = 2n * CALL_GAS_MAX;
/** An estimate ends when what is still uncertain is at most this part of it. */
const ESTIMATE_PRECISION = 64n;
/** EIP-150: a call passes on at most 63 of 64 parts; a call with value adds a stipend. */
const CALL_STIPEND = 2_300n;

/** A message that is executed for its answer only; nobody has signed it. */
export interface CallRequest {
  readonly from: Address;
  /** Undefined creates a contract. */
  readonly to: Address | undefined;
  readonly data: Uint8Array;
  /** Wei. */
  readonly value: bigint;
  /** At most CALL_GAS_MAX and the block's gas limit, which are also the default. */
  readonly gasLimit?: bigint | undefined;
  /** Wei per gas, for which the sender must then have the funds; zero by default. */
  readonly gasPrice?: bigint | undefined;
}

/** Why a call would fail as a transaction. */
export type CallFailure =
  /** `reason` as Solidity encodes it, when it does. */
  | { readonly kind: 'reverted'; readonly reason: string | undefined }
  /** The library's name of the exceptional halt, or of what keeps it from starting. */
  | { readonly kind: 'halted'; readonly error: string };

export interface CallResult {
  /** Returned or, when reverted, revert data. */
  readonly output: Uint8Array;
  readonly gasUsed: bigint;
  readonly failure: CallFailure | undefined;
}

export type GasEstimate =
  | { readonly ok: true; readonly gasLimit: bigint }
  | { readonly ok: false; readonly failure: CallFailure; readonly output: Uint8Array };

interface Simulation {
  readonly request: CallRequest;
  readonly context: BlockContext;
  readonly machine: { readonly state: FlatState; readonly rules: RuleBook };
}

interface Run extends CallResult {
  /** Before the refund; zero when nothing ran. */
  readonly gasSpent: bigint;
}

/** Executes the message on the state and undoes it again. */
export async function simulateCall(simulation: Simulation): Promise<CallResult> {
  const { output, gasUsed, failure } = await run(simulation, gasLimitMax(simulation));
  return { output, gasUsed, failure };
}

/**
 * A gas limit with which the message succeeds on this state, near the least. It is not what is used:
 * refunds come at the end, and calls keep a part of their gas back.
 */
export async function estimateGas(simulation: Simulation): Promise<GasEstimate> {
  let enough = gasLimitMax(simulation);
  const first = await run(simulation, enough);
  if (first.failure !== undefined)
    return { ok: false, failure: first.failure, output: first.output };
  let tooLittle = first.gasUsed - 1n;
  let spent = first.gasSpent;
  // Most messages need exactly what they spend before refunds, or that and a stipend with its 64th part.
  const guesses = [((first.gasSpent + CALL_STIPEND) * 64n) / 63n, first.gasSpent];
  for (let runs = 1; runs < ESTIMATE_RUNS_MAX && spent < ESTIMATE_GAS_MAX; runs += 1) {
    if (enough - tooLittle <= 1n || enough - tooLittle <= tooLittle / ESTIMATE_PRECISION) break;
    const guess = guesses.shift() ?? (tooLittle + enough) / 2n;
    if (guess >= enough || guess <= tooLittle) continue;
    const tried = await run(simulation, guess);
    spent += tried.gasSpent;
    if (tried.failure === undefined) enough = guess;
    else tooLittle = guess;
  }
  return { ok: true, gasLimit: enough };
}

function gasLimitMax({ request, context }: Simulation): bigint {
  const most = smallerBigInt(CALL_GAS_MAX, context.gasLimit);
  return smallerBigInt(request.gasLimit ?? most, most);
}

async function run({ request, context, machine }: Simulation, gasLimit: bigint): Promise<Run> {
  const { from, to, data, value } = request;
  const { state } = machine;
  const rules = machine.rules.at(context);
  rules.use(state);
  const gasPrice = request.gasPrice ?? 0n;
  const shape = gasShape({ to, data, accessList: [] });
  if (gasLimit < minimumGasLimitFor(shape, rules.fork))
    return notRun(`gas limit ${gasLimit} is below the intrinsic gas`);
  await state.prefetch([from, context.coinbase, ...(to === undefined ? [] : [to])], []);
  const sender = await state.loadAccount(from);
  const { nonce, balance, codeHash } = sender.now ?? {
    nonce: 0n,
    balance: 0n,
    codeHash: EMPTY_CODE_HASH,
  };
  const bought = gasLimit * gasPrice;
  if (balance < bought + value) return notRun('insufficient funds for gas and value');
  state.beginTransaction();
  state.checkpoint();
  state.setAccount(sender, { nonce: nonce + 1n, balance: balance - bought, codeHash });
  const result = await runMessage(
    {
      sender: from,
      to,
      data,
      value,
      gasLimit,
      gasPrice,
      accessList: [],
      intrinsicGas: intrinsicGas(shape),
      floorGas: floorGas(shape, rules.fork),
    },
    { rules, state, block: evmBlock(context) },
  );
  state.revert();
  const { output, gasUsed, gasSpent } = result;
  return { output, gasUsed, gasSpent, failure: failureOf(result) };
}

function notRun(error: string): Run {
  return {
    output: new Uint8Array(0),
    gasUsed: 0n,
    gasSpent: 0n,
    failure: { kind: 'halted', error },
  };
}

function failureOf({ exception, output }: MessageResult): CallFailure | undefined {
  if (exception === undefined) return undefined;
  if (exception === 'revert') return { kind: 'reverted', reason: revertReason(output) };
  return { kind: 'halted', error: exception };
}

const ERROR_SELECTOR = 0x08c379a0;
const PANIC_SELECTOR = 0x4e487b71;

/** The text of Solidity's Error(string), or the code of its Panic(uint256). */
function revertReason(output: Uint8Array): string | undefined {
  if (output.length < 36) return undefined;
  const selector = new DataView(output.buffer, output.byteOffset).getUint32(0);
  if (selector === PANIC_SELECTOR)
    return `panic 0x${bytesToBigInt(output.subarray(4, 36)).toString(16)}`;
  if (selector !== ERROR_SELECTOR || output.length < 68) return undefined;
  const length = Number(bytesToBigInt(output.subarray(36, 68)));
  return new TextDecoder().decode(output.subarray(68, 68 + Math.min(length, output.length)));
}
