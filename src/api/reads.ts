import { ADDRESS_BYTES, ZERO_HASH } from '../types/primitives.ts';
import type { BlockSelector, CallMessage, ReadOptions } from '../types/views.ts';
import type { NodeBackend } from './backend.ts';
import {
  addressField,
  consistencyField,
  countField,
  detailField,
  hashField,
  invalid,
  numberField,
  safeIntegerField,
} from './request_fields.ts';
import {
  accountWire,
  blockWire,
  callWire,
  codeWire,
  proofWire,
  receiptWire,
  transactionWire,
  type Wire,
} from './responses.ts';
import type {
  AddressRequest,
  GetBlockRequest,
  GetProofRequest,
  GetStorageRequest,
  HashRequest,
  MessageRequest,
  WireCallMessage,
} from './wire.ts';

/** Slots of one GetProof. */
const PROOF_SLOTS_MAX = 64;
const ZERO_ADDRESS = ZERO_HASH.subarray(0, ADDRESS_BYTES);

export async function getAccount(
  backend: NodeBackend,
  request: AddressRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const address = addressField(request.address, 'address');
  return accountWire(await backend.account(address, readOptions(request, signal)));
}

export async function getCode(
  backend: NodeBackend,
  request: AddressRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const address = addressField(request.address, 'address');
  return codeWire(await backend.code(address, readOptions(request, signal)));
}

export async function getStorage(
  backend: NodeBackend,
  request: GetStorageRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const address = addressField(request.address, 'address');
  const slot = hashField(request.slot, 'slot');
  const { height, value } = await backend.storage(address, slot, readOptions(request, signal));
  return { height, value };
}

export async function getProof(
  backend: NodeBackend,
  request: GetProofRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const address = addressField(request.address, 'address');
  countField(request.slots.length, PROOF_SLOTS_MAX, 'slots');
  const slots = request.slots.map((slot) => hashField(slot, 'slots'));
  return proofWire(await backend.proof(address, slots, readOptions(request, signal)));
}

export async function getBlock(
  backend: NodeBackend,
  request: GetBlockRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const selector = blockSelector(request);
  const detail = detailField(request.detail);
  const { height, value } = await backend.block(selector, detail, readOptions(request, signal));
  return { height, block: blockWire(value) };
}

export async function getTransaction(
  backend: NodeBackend,
  request: HashRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const hash = hashField(request.hash, 'hash');
  return transactionWire(hash, await backend.transaction(hash, readOptions(request, signal)));
}

export async function getReceipt(
  backend: NodeBackend,
  request: HashRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const hash = hashField(request.hash, 'hash');
  return receiptWire(await backend.receipt(hash, readOptions(request, signal)));
}

export async function call(
  backend: NodeBackend,
  request: MessageRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const message = callMessage(request.message);
  return callWire(await backend.call(message, readOptions(request, signal)));
}

export async function estimateGas(
  backend: NodeBackend,
  request: MessageRequest,
  signal: AbortSignal,
): Promise<Wire> {
  const message = callMessage(request.message);
  const { height, value } = await backend.estimateGas(message, readOptions(request, signal));
  return { height, gas: String(value) };
}

function readOptions(
  request: { readonly consistency: string | number },
  signal: AbortSignal,
): ReadOptions {
  return { consistency: consistencyField(request.consistency), signal };
}

function blockSelector(request: GetBlockRequest): BlockSelector {
  switch (request.block) {
    case 'height':
      return { by: 'height', height: safeIntegerField(request.height ?? 0, 'height') };
    case 'blockId':
      return { by: 'id', blockId: hashField(request.blockId ?? new Uint8Array(0), 'block_id') };
    default:
      return { by: 'latest' };
  }
}

function callMessage(message: WireCallMessage | null): CallMessage {
  if (message === null) throw invalid('message', 'set');
  return {
    from: message.from.length === 0 ? ZERO_ADDRESS : addressField(message.from, 'message.from'),
    to: message.to.length === 0 ? undefined : addressField(message.to, 'message.to'),
    value: numberField(message.value, 'message.value'),
    data: message.data,
    gasLimit:
      message.gasLimit === 0
        ? undefined
        : BigInt(safeIntegerField(message.gasLimit, 'message.gas_limit')),
  };
}
