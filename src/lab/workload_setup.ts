import type { ChannelCredentials } from '@grpc/grpc-js';
import { contractAddress } from '../crypto/transaction.ts';
import { largerBigInt } from '../lib/bigint.ts';
import { toPrefixedHex } from '../lib/bytes.ts';
import type { Clock } from '../lib/environment.ts';
import type { Address } from '../types/primitives.ts';
import { NodeClient } from './client.ts';
import { ClientError } from './client_error.ts';
import { Load } from './load.ts';
import { assignSigners, type Signer, type Signers } from './signer.ts';
import type { Workload } from './workload_operation.ts';
import {
  CALL_GAS_LIMIT,
  CONTRACT_OF,
  type FeeTerms,
  type SignedTransaction,
  signCreation,
  signOperations,
  signPayment,
} from './workload_transactions.ts';

export interface SetupOptions {
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly workload: Workload;
  /** Holds the wei that the run needs. */
  readonly funder: Signer;
  /** The signers' keys follow from it: never the same twice on one chain. */
  readonly seed: string;
  readonly signersMax?: number;
}

export interface SetupDependencies {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A workload that only has to be submitted. */
export interface PreparedWorkload {
  readonly workload: Workload;
  readonly signers: Signers;
  /** The family's contract. */
  readonly contract: Address;
  /** The measured transactions, signed, in the workload's order. */
  readonly transactions: readonly SignedTransaction[];
  /** Everything submitted or to be submitted, preparation included, by hash. */
  readonly submitted: ReadonlyMap<string, SignedTransaction>;
}

const SIGNERS_MAX = 1_024;
const GWEI = 10n ** 9n;
/** The base fee rises by an eighth a block at most: this leaves room for sixty full blocks in a row. */
const FEE_HEADROOM = 1_000n;
/** Admission may count what is on its way twice. */
const FUNDS_MARGIN = 2n;

/**
 * Creates the contract, funds the signers and runs the workload's set-up, each step in applied blocks before
 * the next begins; signs what is measured. Rejects with a ClientError, CLOSED once the signal aborts.
 */
export async function prepareWorkload(
  options: SetupOptions,
  { clock, signal }: SetupDependencies,
): Promise<PreparedWorkload> {
  const { workload, funder } = options;
  const client = new NodeClient(options, clock);
  const close = (): void => client.close();
  signal.addEventListener('abort', close);
  try {
    const terms = await feeTerms(client);
    funder.nextNonce = (await client.account(funder.address)).pendingNonce;
    const contract = contractAddress(funder.address, funder.nextNonce);
    const signers = assignSigners(workload, {
      issuer: funder,
      seed: options.seed,
      signersMax: options.signersMax ?? SIGNERS_MAX,
    });
    const name = CONTRACT_OF[workload.family];
    const creation = name === undefined ? [] : [signCreation(name, funder, terms)];
    const funding = fundings({ workload, signers, funder, terms });
    const context = { signers, contract, terms };
    await commitAll([...creation, ...funding], options, { clock, signal });
    if (name !== undefined && (await client.code(contract)).length === 0)
      throw new ClientError('REFUSED', `the ${name} contract was not created`);
    const setup = signOperations(workload.setup, context);
    await commitAll(setup, options, { clock, signal });
    const transactions = signOperations(workload.operations, context);
    const everything = [...creation, ...funding, ...setup, ...transactions];
    return {
      workload,
      signers,
      contract,
      transactions,
      submitted: new Map(everything.map((transaction) => [transaction.hash, transaction])),
    };
  } finally {
    signal.removeEventListener('abort', close);
    client.close();
  }
}

async function feeTerms(client: NodeClient): Promise<FeeTerms> {
  const [status, latest] = [await client.status(), await client.block('latest')];
  const baseFee = latest?.header.baseFeePerGas ?? GWEI;
  return {
    chainId: BigInt(status.chainId),
    maxFeePerGas: largerBigInt(baseFee, GWEI) * FEE_HEADROOM,
    maxPriorityFeePerGas: 1n,
  };
}

/** Gives each signer twice what all of its transactions can cost and pay at most. */
function fundings(run: {
  workload: Workload;
  signers: Signers;
  funder: Signer;
  terms: FeeTerms;
}): SignedTransaction[] {
  const needs = new Map<Signer, bigint>(run.signers.all.map((signer) => [signer, 0n]));
  const cost = CALL_GAS_LIMIT * run.terms.maxFeePerGas;
  for (const operation of [...run.workload.setup, ...run.workload.operations]) {
    const signer = run.signers.signerOf(operation);
    const value = operation.kind === 'pay' ? operation.amount : 0n;
    if (signer !== run.funder) needs.set(signer, (needs.get(signer) ?? 0n) + cost + value);
  }
  return [...needs]
    .filter(([, value]) => value > 0n)
    .map(([{ address }, value]) =>
      signPayment(run.funder, { to: address, value: value * FUNDS_MARGIN }, run.terms),
    );
}

/** Resolves when all are in applied blocks. */
async function commitAll(
  transactions: readonly SignedTransaction[],
  options: SetupOptions,
  { clock, signal }: SetupDependencies,
): Promise<void> {
  const { addresses, credentials } = options;
  const wait = 'WAIT_LEVEL_COMMITTED';
  const load = new Load(transactions, { addresses, credentials, wait }, clock);
  const stop = (): void => load.stop();
  signal.addEventListener('abort', stop);
  await load.run().finally(() => signal.removeEventListener('abort', stop));
  const [refused] = load.refused;
  if (refused === undefined) return;
  throw new ClientError(
    'REFUSED',
    `${load.refused.length} transactions of the set-up were refused, the first of ${toPrefixedHex(refused.transaction.sender)}: ${refused.refusal.message}`,
    { reason: refused.refusal.reason, status: refused.refusal.code },
  );
}
