import type { Hash, Height } from '../types/primitives.ts';
import type { BlockContext } from './block_context.ts';
import type { ExecutedBlock } from './block_executor.ts';
import type { CallRequest, CallResult, GasEstimate } from './call.ts';
import type { ExecutionErrorCode } from './execution_error.ts';
import type { PackedBytes } from './packing.ts';

/** What the worker is started with. */
export interface WorkerOptions {
  readonly cacheBytesMax: number;
}

/** A block whose transactions are packed: bytes in order, senders in the same order. */
interface PackedBlock {
  readonly blockId: Hash;
  readonly context: BlockContext;
  readonly raws: PackedBytes;
  readonly senders: Uint8Array;
}

export type WorkerRequest =
  | { readonly type: 'executeBlock'; readonly block: PackedBlock }
  | { readonly type: 'call'; readonly request: CallRequest; readonly context: BlockContext }
  | { readonly type: 'estimateGas'; readonly request: CallRequest; readonly context: BlockContext };

/** A question of the worker's to the state reader of its owner. */
export type StateQuestion =
  | { readonly kind: 'accounts'; readonly addresses: Uint8Array }
  | { readonly kind: 'slots'; readonly keys: Uint8Array }
  | { readonly kind: 'code'; readonly codeHash: Hash }
  | { readonly kind: 'blockHash'; readonly height: Height };

export type StateAnswer =
  | { readonly kind: 'accounts'; readonly accounts: Uint8Array }
  | { readonly kind: 'slots'; readonly values: PackedBytes }
  | { readonly kind: 'code'; readonly code: Uint8Array }
  | { readonly kind: 'blockHash'; readonly hash: Hash | undefined }
  | { readonly kind: 'failed'; readonly message: string };

export type ToWorker =
  | { readonly type: 'request'; readonly id: number; readonly request: WorkerRequest }
  | { readonly type: 'applied'; readonly height: Height; readonly blockId: Hash }
  | { readonly type: 'reset'; readonly height: Height }
  | { readonly type: 'state'; readonly id: number; readonly answer: StateAnswer };

export type WorkerAnswer = ExecutedBlock | CallResult | GasEstimate;

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly answer: WorkerAnswer }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ExecutionErrorCode;
      readonly message: string;
    }
  | { readonly type: 'ask'; readonly id: number; readonly question: StateQuestion };
