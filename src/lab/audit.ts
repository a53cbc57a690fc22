import { toHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import type { Genesis } from '../types/genesis.ts';
import type { Address } from '../types/primitives.ts';
import { type AuditedChain, auditChain } from './chain_audit.ts';
import { type NodeClient, pause, type ServedBlock } from './client.ts';
import type { StatusMessage } from './node_service.ts';
import type { Signers } from './signer.ts';
import { auditAccounts, auditStorage, type StateAudit } from './state_audit.ts';
import { replay, WorkloadModel } from './workload_model.ts';
import type { Operation, Workload } from './workload_operation.ts';
import type { SignedTransaction } from './workload_transactions.ts';

export interface AuditInput {
  /** A client of each member, of that member alone. */
  readonly clients: readonly NodeClient[];
  readonly genesis: Genesis;
  readonly workload: Workload;
  readonly signers: Signers;
  /** The family's contract. */
  readonly contract: Address;
  /** Everything that was ever submitted to this chain, preparation included, by hash. */
  readonly submitted: ReadonlyMap<string, SignedTransaction>;
  /** Hashes of the measured transactions that the cluster acknowledged. */
  readonly acknowledged: readonly string[];
}

/** One line of the verdict. */
export interface AuditCheck {
  readonly name: string;
  readonly holds: boolean;
  readonly detail: string;
}

export interface AuditReport {
  readonly checks: readonly AuditCheck[];
  /** Whether every check holds. */
  readonly holds: boolean;
  /** Measured transactions that are in a block. */
  readonly committed: number;
  /** Acknowledged ones that are in none. */
  readonly lost: number;
  /** Submitted ones that are in the chain more than once. */
  readonly duplicated: number;
  /** Whether all members report one root at one height. */
  readonly rootsEqual: boolean;
  readonly height: number;
  /** Of the final state, 0x-prefixed; empty when members differ. */
  readonly stateRoot: string;
}

const SETTLE_MS_MAX = 60_000;
const SETTLE_POLL_MS = 50;
const DETAILS_MAX = 3;

/** Audits a cluster from outside, through the API of each of its members. Nothing else may use the chain. */
export async function audit(input: AuditInput, clock: Clock): Promise<AuditReport> {
  const settled = await settle(input.clients, clock);
  const chains: AuditedChain[] = [];
  for (const client of input.clients) {
    const { genesisHash } = await client.status();
    const { chainId, validators } = input.genesis;
    const blocks = upTo(settled.height, client.blocks(1, 'CONSISTENCY_LOCAL'));
    chains.push(await auditChain(blocks, { chainId, validators, genesisId: genesisHash }));
  }
  const chain = chains[0] ?? { blocks: [], problems: ['there is no member'] };
  const inclusion = countInclusions(chain, input);
  const model = new WorkloadModel();
  replay(model, inclusion.operations);
  const state = { ...input, blocks: chain.blocks, model, family: input.workload.family };
  const storage = await auditStorage(state);
  const accounts = await auditAccounts(state);
  const checks = [
    ...chainChecks(chains),
    ...inclusion.checks,
    stateCheck('contract storage is what the replay gives', storage),
    stateCheck('nonces and wei are what the replay gives', accounts),
    settled.check,
  ];
  return {
    checks,
    holds: checks.every(({ holds }) => holds),
    committed: inclusion.committed,
    lost: inclusion.lost,
    duplicated: inclusion.duplicated,
    rootsEqual: settled.check.holds,
    height: settled.height,
    stateRoot: settled.stateRoot,
  };
}

/** Empty blocks may follow at any time; they change nothing. */
async function* upTo(
  height: number,
  blocks: AsyncIterable<ServedBlock>,
): AsyncGenerator<ServedBlock> {
  for await (const block of blocks) {
    if (block.header.height > height) return;
    yield block;
  }
}

interface Settled {
  readonly check: AuditCheck;
  readonly height: number;
  readonly stateRoot: string;
}

/** Waits until nothing is pending and all members stand at one height with one root. */
export async function settle(clients: readonly NodeClient[], clock: Clock): Promise<Settled> {
  const giveUpAtMs = clock.monotonicMs() + SETTLE_MS_MAX;
  const name = 'all members have the same state root at the same height';
  for (;;) {
    const statuses = await Promise.all(clients.map((client) => client.status()));
    const [first] = statuses;
    const height = Number(first?.height ?? 0);
    const roots = new Set(statuses.map(({ stateRoot }) => toHex(stateRoot)));
    const atRest = statuses.every((status) => isAtRest(status, height));
    if (atRest && roots.size === 1) {
      const stateRoot = `0x${[...roots].join('')}`;
      const detail = `${statuses.length} members at height ${height}: ${stateRoot}`;
      return { check: { name, holds: true, detail }, height, stateRoot };
    }
    if (clock.monotonicMs() > giveUpAtMs) {
      const detail = statuses.map(describeStatus).join('; ');
      return { check: { name, holds: false, detail }, height, stateRoot: '' };
    }
    await pause(clock, SETTLE_POLL_MS);
  }
}

function isAtRest(status: StatusMessage, height: number): boolean {
  return (
    Number(status.height) === height &&
    Number(status.stateRootHeight) === height &&
    status.mempoolSize === '0' &&
    status.appliedIndex === status.commitIndex &&
    status.fencedReason === ''
  );
}

function describeStatus(status: StatusMessage): string {
  const fenced = status.fencedReason === '' ? '' : `, fenced: ${status.fencedReason}`;
  return (
    `member ${status.memberId} at height ${status.height}, root ${toHex(status.stateRoot).slice(0, 16)} ` +
    `of ${status.stateRootHeight}, ${status.mempoolSize} pending${fenced}`
  );
}

function chainChecks(chains: readonly AuditedChain[]): AuditCheck[] {
  const problems = chains.flatMap((chain) => chain.problems);
  const lengths = new Set(chains.map(({ blocks }) => blocks.length));
  const tips = new Set(chains.map(({ blocks }) => blocks.map(({ id }) => id).join()));
  const blockCount = chains[0]?.blocks.length ?? 0;
  return [
    check(
      'the chain links: ids, roots and certificates recomputed',
      problems,
      `${blockCount} blocks of each of ${chains.length} members`,
    ),
    {
      name: 'all members have the same blocks',
      holds: lengths.size === 1 && tips.size === 1,
      detail: `${[...lengths].join(' or ')} blocks`,
    },
  ];
}

interface Inclusions {
  readonly checks: readonly AuditCheck[];
  /** Of the whole chain, preparation included, in block order. */
  readonly operations: readonly Operation[];
  readonly committed: number;
  readonly lost: number;
  readonly duplicated: number;
}

function countInclusions(chain: AuditedChain, input: AuditInput): Inclusions {
  const timesSeen = new Map<string, number>();
  const strangers: string[] = [];
  const operations: Operation[] = [];
  for (const hash of chain.blocks.flatMap(({ transactionHashes }) => transactionHashes)) {
    timesSeen.set(hash, (timesSeen.get(hash) ?? 0) + 1);
    const sent = input.submitted.get(hash);
    if (sent === undefined) strangers.push(`0x${hash}`);
    else if (sent.operation !== undefined) operations.push(sent.operation);
  }
  const lost = input.acknowledged.filter((hash) => !timesSeen.has(hash));
  const duplicated = [...timesSeen].filter(([, count]) => count > 1).map(([hash]) => hash);
  const measured = new Set(input.workload.operations);
  const committed = [...timesSeen.keys()].filter((hash) => {
    const operation = input.submitted.get(hash)?.operation;
    return operation !== undefined && measured.has(operation);
  }).length;
  return {
    checks: [
      check(
        'every acknowledged transaction is in a block',
        lost.map((hash) => `0x${hash}`),
        `${input.acknowledged.length} acknowledged`,
      ),
      check(
        'no transaction is in two blocks',
        duplicated.map((hash) => `0x${hash}`),
        `${timesSeen.size} in the chain`,
      ),
      check('nothing is in the chain that was not submitted', strangers, 'no strangers'),
    ],
    operations,
    committed,
    lost: lost.length,
    duplicated: duplicated.length,
  };
}

function stateCheck(name: string, state: StateAudit): AuditCheck {
  return check(name, state.differences, `${state.compared} compared`);
}

function check(name: string, faults: readonly string[], whenSound: string): AuditCheck {
  const shown = faults.slice(0, DETAILS_MAX).join('; ');
  const more = faults.length > DETAILS_MAX ? ` and ${faults.length - DETAILS_MAX} more` : '';
  return {
    name,
    holds: faults.length === 0,
    detail: faults.length === 0 ? whenSound : shown + more,
  };
}
