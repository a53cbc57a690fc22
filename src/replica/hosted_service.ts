import type { CallRequest } from '../execution/call.ts';
import type { MemberRecord } from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { MemberAddition } from '../types/membership.ts';
import type { Address, Hash, Height } from '../types/primitives.ts';
import type { BlockSelector, Readiness, ReadOptions, TransactionDetail } from '../types/views.ts';
import type { MemberHost } from './member_host.ts';

type Host = Pick<MemberHost, 'now' | 'call' | 'watchReadiness'>;

/** What this process does for clients and operators, whichever member it holds at the moment. */
export class HostedService {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  submit(raws: readonly Uint8Array[], signal: AbortSignal) {
    return this.#host.call('change', (service) => service.submit(raws, signal));
  }

  committed(hash: Hash, signal: AbortSignal) {
    return this.#host.call('read', (service) => service.committed(hash, signal));
  }

  height(read: ReadOptions) {
    return this.#host.call('read', (service) => service.height(read));
  }

  account(address: Address, read: ReadOptions) {
    return this.#host.call('read', (service) => service.account(address, read));
  }

  code(address: Address, read: ReadOptions) {
    return this.#host.call('read', (service) => service.code(address, read));
  }

  storage(address: Address, slot: Hash, read: ReadOptions) {
    return this.#host.call('read', (service) => service.storage(address, slot, read));
  }

  proof(address: Address, slots: readonly Hash[], read: ReadOptions) {
    return this.#host.call('read', (service) => service.proof(address, slots, read));
  }

  block(selector: BlockSelector, detail: TransactionDetail, read: ReadOptions) {
    return this.#host.call('read', (service) => service.block(selector, detail, read));
  }

  transaction(hash: Hash, read: ReadOptions) {
    return this.#host.call('read', (service) => service.transaction(hash, read));
  }

  receipt(hash: Hash, read: ReadOptions) {
    return this.#host.call('read', (service) => service.receipt(hash, read));
  }

  call(message: CallRequest, read: ReadOptions) {
    return this.#host.call('read', (service) => service.call(message, read));
  }

  estimateGas(message: CallRequest, read: ReadOptions) {
    return this.#host.call('read', (service) => service.estimateGas(message, read));
  }

  applied(atLeast: Height, signal: AbortSignal) {
    return this.#host.call('read', (service) => service.applied(atLeast, signal));
  }

  blockLogs(height: Height, signal: AbortSignal) {
    return this.#host.call('read', (service) => service.blockLogs(height, signal));
  }

  watchReadiness(listener: (readiness: Readiness) => void): () => void {
    return this.#host.watchReadiness(listener);
  }

  status() {
    return this.#host.now((service) => service.status());
  }

  transferLeadership(target: MemberId, signal: AbortSignal) {
    return this.#host.call('change', (service) => service.transferLeadership(target, signal));
  }

  listMembers() {
    return this.#host.now((service) => service.listMembers());
  }

  addMember(addition: MemberAddition, signal: AbortSignal) {
    return this.#host.call('change', (service) => service.addMember(addition, signal));
  }

  replaceMember(replaced: MemberId, addition: MemberAddition, signal: AbortSignal) {
    return this.#host.call('change', (service) =>
      service.replaceMember(replaced, addition, signal),
    );
  }

  promoteMember(id: MemberId, signal: AbortSignal) {
    return this.#host.call('change', (service) => service.promoteMember(id, signal));
  }

  removeMember(id: MemberId, signal: AbortSignal) {
    return this.#host.call('change', (service) => service.removeMember(id, signal));
  }

  updateMember(record: MemberRecord, signal: AbortSignal) {
    return this.#host.call('change', (service) => service.updateMember(record, signal));
  }
}
