import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCommit, precommitDigest, verifyCommit } from '../../../src/crypto/block.ts';
import { sign } from '../../../src/crypto/bls.ts';
import { ExecutionError } from '../../../src/execution/execution_error.ts';
import { InlineExecutor } from '../../../src/execution/inline_executor.ts';
import { BlockBuilder } from '../../../src/leader/block_builder.ts';
import { blockRequest } from '../../../src/leader/block_context.ts';
import { BlockProducer } from '../../../src/leader/block_producer.ts';
import { RootAgreement } from '../../../src/leader/root_agreement.ts';
import type { FlatState } from '../../../src/ledger/flat_state.ts';
import type { StoredBlock } from '../../../src/ledger/stored_block.ts';
import { type Commit, decodeHeader, encodeHeader } from '../../../src/types/block.ts';
import type { Command } from '../../../src/types/command.ts';
import type { Genesis } from '../../../src/types/genesis.ts';
import {
  blsSecret,
  genesis,
  ManualClock,
  quiet,
  silent,
  TestLedger,
  transfer,
  until,
} from '../ledger/chain_fixture.ts';

const INTERVAL_MS = 100;
const ROOT = new Uint8Array(32).fill(3);

let node: TestLedger;
let clock: ManualClock;
let roots: RootAgreement;
let producer: BlockProducer;
let executor: InlineExecutor;
let executions: number;
let fatal: unknown[];
let refusals: number;
/** What reading the accounts of a block waits for. */
let beforeAccounts: () => Promise<void>;

async function makeProducer(members = 1): Promise<void> {
  const { flatState, ledger, opened } = node;
  executor = new InlineExecutor(
    { cacheBytesMax: 1_000_000, requestsMax: 10 },
    { state: flatState },
  );
  await executor.start();
  executor.reset(ledger.head.executedHeight);
  roots = new RootAgreement({ self: 1 });
  const voters = Array.from({ length: members }, (_, position) => position + 1);
  roots.configure({ voters, outgoing: [] });
  for (let height = 0; height <= ledger.head.executedHeight; height += 1)
    roots.report(1, height, ROOT);
  const execute = executor.executeBlock.bind(executor);
  executor.executeBlock = (request) => {
    executions += 1;
    return execute(request);
  };
  producer = new BlockProducer(
    { genesis: node.genesis, secretKey: blsSecret, intervalMs: INTERVAL_MS },
    {
      ledger,
      mempool: opened.mempool,
      chain: opened.chain,
      builder: new BlockBuilder({ genesis: node.genesis }, { flatState: slowly(flatState) }),
      roots,
      executor,
      propose: (command) => {
        if (refusals === 0) return node.propose(command);
        refusals -= 1;
        return { refused: 'too-many-uncommitted', leader: 1 };
      },
      clock,
      logger: silent,
      onFatal: (error) => fatal.push(error),
    },
  );
  node.beforeOutcome = (applied) => {
    const { height, blockId } = applied.outcome;
    if (producer.hasExecuted(applied)) executor.applied(height, blockId);
    else executor.reset(height);
  };
}

function slowly(flatState: FlatState): FlatState {
  const read = flatState.accounts.bind(flatState);
  flatState.accounts = async (addresses) => {
    await beforeAccounts();
    return read(addresses);
  };
  return flatState;
}

async function open(ofGenesis?: Genesis): Promise<void> {
  node = await TestLedger.open(ofGenesis);
  clock = new ManualClock();
  executions = 0;
  refusals = 0;
  fatal = [];
  beforeAccounts = async () => undefined;
  await makeProducer();
}

beforeEach(() => open());

afterEach(async () => {
  producer.lead(undefined);
  await executor.stop();
  await node.close();
});

/** Applies what is committed, and tells the producer as the member does. */
async function applyAll(): Promise<void> {
  const committed = node.log.length;
  while (node.ledger.head.appliedIndex < committed) {
    const { executed } = await node.applyNext();
    if (executed !== undefined) roots.report(1, executed.outcome.height, ROOT);
    producer.wake();
  }
}

async function lead(term: number): Promise<void> {
  node.startTerm(term);
  producer.lead(term);
  await applyAll();
}

async function proposed<Type extends Command['type']>(
  type: Type,
): Promise<Extract<Command, { type: Type }>> {
  await until(() => node.open.length > 0 || fatal.length > 0, type);
  expect(fatal).toEqual([]);
  const [command] = node.open;
  expect(command?.type).toBe(type);
  return command as Extract<Command, { type: Type }>;
}

/** Goes through one block, commit by commit. */
async function block(): Promise<void> {
  for (const type of ['BlockProposed', 'BlockDecided', 'BlockOutcome'] as const) {
    await proposed(type);
    await applyAll();
  }
}

function commitOf({ block: { header }, blockId }: StoredBlock): Commit {
  const vote = { chainId: header.chainId, height: header.height, round: 0, blockId };
  return makeCommit({ ...vote, signature: sign(precommitDigest(vote), blsSecret) });
}

describe('BlockProducer', () => {
  it('does nothing before it has applied an entry of its own term', async () => {
    node.admit(transfer(0n));
    await applyAll();
    node.startTerm(2);
    producer.lead(2);
    await quiet();
    expect(node.open).toEqual([]);
    await applyAll();
    await proposed('BlockProposed');
  });

  it('goes through one step at a time, and signs only what is applied', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    // Proposed, but not committed: nothing is signed, however often it is woken.
    producer.wake();
    await quiet();
    expect(node.open).toHaveLength(1);
    await applyAll();
    const { commit } = await proposed('BlockDecided');
    expect(commit.blockId).toEqual(node.ledger.head.undecided?.blockId);
    verifyCommit(commit, genesis.validators, genesis.chainId);
    producer.wake();
    await quiet();
    expect(node.open).toHaveLength(1);
    await applyAll();
    await proposed('BlockOutcome');
    expect(executions).toBe(1);
  });

  it('stops two blocks after the last one with transactions', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await block();
    for (const height of [2, 3]) {
      await quiet();
      expect(node.open).toEqual([]);
      clock.advance(INTERVAL_MS);
      await block();
      expect(node.ledger.head.executedHeight).toBe(height);
      expect(node.ledger.head.decided.block.transactions).toEqual([]);
    }
    clock.advance(10 * INTERVAL_MS);
    producer.wake();
    await quiet();
    expect(node.open).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it('proposes anew when its proposal was void', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    const stale = await proposed('BlockProposed');
    // Overtaken in the log by a replacement, as when another leader had written it.
    node.log = node.log.slice(0, -1);
    const high = transfer(0n, { maxPriorityFeePerGas: 10n ** 9n, maxFeePerGas: 10n ** 10n });
    node.admit(high);
    node.propose(stale);
    producer.lead(2);
    await applyAll();
    expect(node.ledger.head.undecided).toBeUndefined();
    clock.advance(INTERVAL_MS);
    const { transactionHashes } = await proposed('BlockProposed');
    expect(transactionHashes).not.toEqual(stale.transactionHashes);
    await block();
    expect(node.ledger.head.decided.block.transactions).toEqual([high]);
  });

  it('signs another leader’s undecided block after a restart, not one of its own', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    await applyAll();
    await proposed('BlockDecided');
    const fixed = node.ledger.head.undecided?.blockId;
    producer.lead(undefined);
    // The decision was never committed; the entry after it is another leader's.
    node.log = node.log.slice(0, -1);
    await executor.stop();
    await node.restart();
    await makeProducer();
    clock.advance(5 * INTERVAL_MS);
    await lead(3);
    const { commit } = await proposed('BlockDecided');
    expect(commit.blockId).toEqual(fixed);
  });

  it('executes a decided block that nobody has executed', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    await applyAll();
    await proposed('BlockDecided');
    await applyAll();
    await proposed('BlockOutcome');
    producer.lead(undefined);
    node.log = node.log.slice(0, -1);
    await executor.stop();
    await node.restart();
    await makeProducer();
    await lead(3);
    await proposed('BlockOutcome');
    await applyAll();
    expect(node.ledger.head.executedHeight).toBe(1);
    expect(node.opened.mempool.size).toBe(0);
  });

  it('never signs a fixed block that is invalid', async () => {
    await lead(2);
    producer.lead(undefined);
    const { head } = node.ledger;
    const { flatState } = node;
    const builder = new BlockBuilder({ genesis }, { flatState });
    const [validator] = genesis.validators;
    if (validator === undefined) throw new Error('no validator');
    const header = builder.header(
      { head, lastCommit: undefined, stateRoot: head.decided.block.header.stateRoot },
      { raws: [], proposer: validator.address, wallMs: clock.wallMs() },
    );
    node.propose({
      type: 'BlockProposed',
      header: encodeHeader({ ...header, gasUsed: 1n }),
      lastCommit: undefined,
      transactionHashes: [],
      transactionsNotAdmitted: [],
    });
    await applyAll();
    await lead(3);
    await until(() => fatal.length > 0, 'the failure');
    expect(fatal).toMatchObject([{ code: 'CANNOT_APPLY' }]);
    expect(node.open).toEqual([]);
  });

  it('makes nothing of accounts that another leader moved on while it checked a block', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    const reading = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    beforeAccounts = () => {
      reading.resolve();
      return held.promise;
    };
    await applyAll();
    await reading.promise;
    beforeAccounts = async () => undefined;
    // While it waits for the accounts, the next leader decides and executes the block.
    producer.lead(undefined);
    const { undecided } = node.ledger.head;
    if (undecided === undefined) throw new Error('no block was fixed');
    const { encodedOutcome } = await executor.executeBlock(blockRequest(undecided, genesis));
    node.startTerm(3);
    node.propose({ type: 'BlockDecided', commit: commitOf(undecided) });
    node.propose({ type: 'BlockOutcome', outcome: encodedOutcome });
    await applyAll();
    expect(node.ledger.head.executedHeight).toBe(1);
    held.resolve();
    await quiet();
    expect(fatal).toEqual([]);
    expect(node.open).toEqual([]);
  });

  it('waits until a majority has computed the root that the next header carries', async () => {
    await executor.stop();
    await makeProducer(3);
    await lead(2);
    for (const nonce of [0n, 1n]) {
      node.admit(transfer(nonce));
      await applyAll();
      await block();
      clock.advance(INTERVAL_MS);
    }
    node.admit(transfer(2n));
    await applyAll();
    await quiet();
    expect(node.open).toEqual([]);
    roots.report(2, 1, ROOT);
    producer.wake();
    const { header } = await proposed('BlockProposed');
    expect(decodeHeader(header)).toMatchObject({ height: 3, stateRoot: ROOT });
  });

  it('proposes an outcome that the log refused again without executing again', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    await applyAll();
    await proposed('BlockDecided');
    refusals = 2;
    await applyAll();
    for (let left = 1; left >= 0; left -= 1) {
      await until(() => refusals === left && clock.timers > 0, 'a refusal');
      clock.advance(20);
    }
    await proposed('BlockOutcome');
    expect(executions).toBe(1);
  });

  it('tries again what was disturbed', async () => {
    await lead(2);
    node.admit(transfer(0n));
    await applyAll();
    await proposed('BlockProposed');
    await applyAll();
    await proposed('BlockDecided');
    const execute = executor.executeBlock;
    executor.executeBlock = () =>
      Promise.reject(new ExecutionError('WORKER_FAILED', 'the thread died'));
    await applyAll();
    await until(() => clock.timers > 0, 'the pause');
    executor.executeBlock = execute;
    clock.advance(20);
    await proposed('BlockOutcome');
    expect(fatal).toEqual([]);
  });

  it('wakes by itself to give up what nobody can run', async () => {
    await lead(2);
    node.admit(transfer(3n));
    await applyAll();
    await quiet();
    expect(node.open).toEqual([]);
    expect(clock.nextMs).toBe(99_000);
    clock.advance(99_000);
    await block();
    expect(node.opened.mempool.size).toBe(0);
  });

  it('lowers the base fee by empty blocks for those who wait for it', async () => {
    await lead(2);
    const waiting = transfer(0n, { maxFeePerGas: 800_000_000n });
    node.admit(waiting);
    await applyAll();
    for (let height = 1; node.opened.mempool.size > 0; height += 1) {
      expect(height).toBeLessThan(5);
      clock.advance(INTERVAL_MS);
      await block();
    }
    expect(node.ledger.head.decided.block.transactions).toEqual([waiting]);
  });

  it('keeps the interval when what fills blocks cannot run', async () => {
    await lead(2);
    node.admit(transfer(5n, { gasLimit: genesis.parameters.blockGasLimit }));
    node.admit(transfer(0n));
    await applyAll();
    await block();
    node.admit(transfer(1n));
    await applyAll();
    await quiet();
    // Something can run, so that it counts as full: one block at once.
    await block();
    await quiet();
    expect(node.open).toEqual([]);
    expect(clock.nextMs).toBeLessThanOrEqual(INTERVAL_MS);
  });

  it('leaves out what a fork has made invalid, instead of a block that nobody can sign', async () => {
    await executor.stop();
    await node.close();
    const { parameters } = genesis;
    await open({
      ...genesis,
      parameters: {
        ...parameters,
        forks: [
          { name: 'cancun', height: 0 },
          { name: 'prague', height: 2 },
        ],
      },
    });
    await lead(2);
    // Enough for the data under the old rules, not under EIP-7623.
    const data = new Uint8Array(1_000).fill(1);
    const low = transfer(1n, { data, gasLimit: 21_000n + 16_000n });
    node.admit(transfer(0n));
    await applyAll();
    const before = await proposed('BlockProposed');
    expect(decodeHeader(before.header).height).toBe(1);
    node.admit(low);
    await block();
    clock.advance(INTERVAL_MS);
    await block();
    expect(fatal).toEqual([]);
    expect(node.ledger.head.decided.block.transactions).toEqual([]);
    expect(node.ledger.head.executedHeight).toBe(2);
  });
});
