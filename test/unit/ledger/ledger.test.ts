import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCommit, precommitDigest, validatorAddress } from '../../../src/crypto/block.ts';
import { publicKey, sign } from '../../../src/crypto/bls.ts';
import { addressOf, transactionHash } from '../../../src/crypto/transaction.ts';
import { executeBlock } from '../../../src/execution/executor.ts';
import { BlockBuilder } from '../../../src/leader/block_builder.ts';
import { blockRequest } from '../../../src/leader/block_context.ts';
import { FlatState } from '../../../src/ledger/flat_state.ts';
import { reverseDeltaKey } from '../../../src/ledger/keys.ts';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { genesisState, type OpenedLedger, openLedger } from '../../../src/ledger/open_ledger.ts';
import { writeDelta } from '../../../src/ledger/state_changes.ts';
import { Database } from '../../../src/storage/database.ts';
import { WriteBatch } from '../../../src/storage/write_batch.ts';
import { encodeHeader } from '../../../src/types/block.ts';
import { type Command, encodeCommand } from '../../../src/types/command.ts';
import type { Entry } from '../../../src/types/entry.ts';
import type { Genesis } from '../../../src/types/genesis.ts';
import { decodeDelta, encodeOutcome } from '../../../src/types/outcome.ts';
import {
  genesis as baseGenesis,
  blsSecret,
  founders,
  sender,
  senderKey,
  transfer as signedTransfer,
  silent,
} from './chain_fixture.ts';

const CLUSTER = 'test';
const validatorKey = publicKey(blsSecret);
const recipient = new Uint8Array(20).fill(9);
const otherKeys = [2, 3].map((byte) => new Uint8Array(32).fill(byte));

const genesis: Genesis = {
  ...baseGenesis,
  accounts: [
    ...baseGenesis.accounts,
    ...otherKeys.map((key) => ({
      address: addressOf(key),
      balance: 10n ** 19n,
      nonce: 0n,
      code: new Uint8Array(0),
      storage: [],
    })),
  ],
};

function transfer(
  nonce: bigint,
  tip = 1n,
  { gasLimit = 21_000n, secretKey = senderKey } = {},
): Uint8Array {
  const maxFeePerGas = 2_000_000_000n + tip;
  return signedTransfer(nonce, { maxPriorityFeePerGas: tip, maxFeePerGas, gasLimit }, secretKey);
}

let directory: string;
let database: Database;
let opened: OpenedLedger;
let ledger: Ledger;
let index: number;

async function open(): Promise<void> {
  database = await Database.open({ directory });
  const state = await genesisState(genesis);
  opened = await openLedger(
    {
      genesis,
      state,
      limits: { transactionsMax: 100, transactionsPerSenderMax: 50, nonceGapMax: 10 },
      configuration: founders,
      newFolderId: () => new Uint8Array(16),
    },
    database,
  );
  const { head, chain, mempool } = opened;
  ledger = new Ledger(
    { clusterId: CLUSTER, genesis, head },
    { database, mempool, chain, logger: silent, beforeOutcome: () => undefined },
  );
  index = head.appliedIndex;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blockraft-ledger-'));
  await open();
});

afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true });
});

function entry(command: Command): Entry {
  index += 1;
  return {
    index,
    term: 1,
    type: 'command',
    data: encodeCommand({ clusterId: CLUSTER, term: 1, command }),
  };
}

function admit(...raws: Uint8Array[]): Command {
  const transactions = raws.map((raw) => ({ raw, sender }));
  return { type: 'AdmitTransactions', expiresAtMs: 1_700_000_100_000, transactions };
}

async function proposal(wallMs = 1_700_000_001_000): Promise<Command> {
  const { head } = ledger;
  const builder = new BlockBuilder({ genesis }, { flatState: flatState() });
  const selected = await builder.select(opened.mempool, head);
  const lastCommit =
    head.decidedHeight === 0 ? undefined : await opened.chain.commit(head.decidedHeight);
  const header = builder.header(
    { head, lastCommit, stateRoot: new Uint8Array(32) },
    {
      raws: selected.map(({ raw }) => raw),
      proposer: validatorAddress(validatorKey),
      wallMs,
    },
  );
  return {
    type: 'BlockProposed',
    header: encodeHeader(header),
    lastCommit,
    transactionHashes: selected.map(({ hash }) => hash),
    transactionsNotAdmitted: [],
  };
}

function decision(): Command {
  const { undecided } = ledger.head;
  if (undecided === undefined) throw new Error('nothing to decide');
  const { height } = undecided.block.header;
  const vote = { chainId: genesis.chainId, height, round: 0, blockId: undecided.blockId };
  const signature = sign(precommitDigest(vote), blsSecret);
  return { type: 'BlockDecided', commit: makeCommit({ ...vote, signature }) };
}

function flatState(): FlatState {
  return new FlatState(database, async (height) => (await opened.chain.block(height))?.blockId);
}

async function outcome(): Promise<Command> {
  const request = blockRequest(ledger.head.decided, genesis);
  return { type: 'BlockOutcome', outcome: encodeOutcome(await executeBlock(request, flatState())) };
}

async function apply(command: Command) {
  return ledger.apply([entry(command)]);
}

async function produceBlock(): Promise<void> {
  await apply(await proposal());
  await apply(decision());
  await apply(await outcome());
}

async function dump(): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const [key, value] of database.iterate({
    gte: Uint8Array.of(0),
    lt: Uint8Array.of(255),
  }))
    content.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'));
  return content;
}

describe('Ledger', () => {
  it('takes transactions from admission into a block, with their state along the way', async () => {
    const raw = transfer(0n);
    const { admissions } = await apply(admit(raw));
    expect(admissions[0]?.results[0]).toMatchObject({ kind: 'admitted', alreadyKnown: false });
    const hash = transactionHash(raw);
    expect(await opened.chain.transactionStates([hash])).toEqual([{ state: 'pending' }]);
    await produceBlock();
    expect(ledger.head.executedHeight).toBe(1);
    expect(await opened.chain.transactionStates([hash])).toEqual([
      { state: 'included', height: 1, index: 0 },
    ]);
    expect(await flatState().account(recipient)).toMatchObject({ balance: 5n });
    expect(opened.mempool.size).toBe(0);
  });

  it('answers a transaction that comes twice as known (scenario 33)', async () => {
    const raw = transfer(0n);
    await apply(admit(raw));
    const again = await apply(admit(raw));
    expect(again.admissions[0]?.results[0]).toMatchObject({ kind: 'admitted', alreadyKnown: true });
    await produceBlock();
    const later = await apply(admit(raw));
    expect(later.admissions[0]?.results[0]).toMatchObject({
      alreadyKnown: true,
      state: { state: 'included', height: 1, index: 0 },
    });
    await produceBlock();
    expect(ledger.head.decided.block.transactions).toEqual([]);
  });

  it('replaces by a higher fee, and refuses a lower one', async () => {
    const [low, high] = [transfer(0n, 10n), transfer(0n, 10_000_000_000n)];
    await apply(admit(low));
    await apply(admit(high));
    expect(await opened.chain.transactionStates([transactionHash(low)])).toEqual([
      { state: 'replaced', by: transactionHash(high) },
    ]);
    const { admissions } = await apply(admit(transfer(0n, 11n)));
    expect(admissions[0]?.results[0]).toMatchObject({
      kind: 'refused',
      refusal: { code: 'REPLACEMENT_UNDERPRICED' },
    });
  });

  it('replaces nothing that stands in the block being decided', async () => {
    await apply(admit(transfer(0n, 10n)));
    await apply(await proposal());
    const { admissions } = await apply(admit(transfer(0n, 10_000_000_000n)));
    expect(admissions[0]?.results[0]).toMatchObject({
      kind: 'refused',
      refusal: { code: 'NONCE_TOO_LOW' },
    });
  });

  it('fixes the first proposal of a height: a second one is void, whatever it holds', async () => {
    await apply(admit(transfer(0n)));
    const [first, second] = [await proposal(), await proposal(1_700_000_002_000)];
    await apply(first);
    const fixed = ledger.head.undecided?.blockId;
    expect(fixed).toBeDefined();
    await apply(second);
    expect(ledger.head.undecided?.blockId).toEqual(fixed);
  });

  it('voids a proposal whose transaction was replaced before it in the log', async () => {
    await apply(admit(transfer(0n, 10n)));
    const stale = await proposal();
    await apply(admit(transfer(0n, 10_000_000_000n)));
    await apply(stale);
    expect(ledger.head.undecided).toBeUndefined();
    await produceBlock();
    expect(ledger.head.decided.block.transactions).toHaveLength(1);
  });

  it('voids a proposal whose certificate is not the one that its header names', async () => {
    await apply(admit(transfer(0n)));
    const command = await proposal();
    if (command.type !== 'BlockProposed') throw new Error('not a proposal');
    const lastCommit = makeCommit({
      height: 0,
      round: 0,
      blockId: ledger.head.decided.blockId,
      signature: new Uint8Array(96),
    });
    await apply({ ...command, lastCommit });
    expect(ledger.head.undecided).toBeUndefined();
  });

  it('passes over what has no room in the block for what has', async () => {
    const other = new Uint8Array(32).fill(2);
    const large = transfer(0n, 5n, { gasLimit: genesis.parameters.blockGasLimit });
    const small = transfer(0n, 1n, { secretKey: other });
    const best = transfer(0n, 9n, { secretKey: new Uint8Array(32).fill(3) });
    await apply(admit(large));
    await apply({
      type: 'AdmitTransactions',
      expiresAtMs: 1_700_000_100_000,
      transactions: [
        { raw: small, sender: addressOf(other) },
        { raw: best, sender: addressOf(new Uint8Array(32).fill(3)) },
      ],
    });
    await produceBlock();
    expect(ledger.head.decided.transactionHashes).toEqual(
      [best, small].map((raw) => transactionHash(raw)),
    );
  });

  it('ignores a decision without a valid certificate, a second decision, and a second outcome', async () => {
    await apply(admit(transfer(0n)));
    await apply(await proposal());
    const right = decision();
    if (right.type !== 'BlockDecided') throw new Error('not a decision');
    const signature = right.commit.signature.slice();
    signature[5] = (signature[5] ?? 0) ^ 1;
    await apply({ type: 'BlockDecided', commit: { ...right.commit, signature } });
    expect(ledger.head.decidedHeight).toBe(0);
    await apply(right);
    await apply(right);
    expect(ledger.head.decidedHeight).toBe(1);
    const result = await outcome();
    await apply(result);
    const before = await flatState().account(recipient);
    await apply(result);
    expect(await flatState().account(recipient)).toEqual(before);
    expect(ledger.head.executedHeight).toBe(1);
  });

  it('gives up what no block took in time, and says so', async () => {
    const gapped = transfer(3n);
    await apply(admit(gapped));
    await apply(await proposal(1_700_000_200_000));
    await apply(decision());
    const { finals } = await apply(await outcome());
    expect(finals).toEqual([{ hash: transactionHash(gapped), state: { state: 'expired' } }]);
    expect(opened.mempool.size).toBe(0);
  });

  it('keeps a reverse delta that undoes the outcome exactly', async () => {
    await apply(admit(transfer(0n), transfer(1n)));
    await apply(await proposal());
    await apply(decision());
    const stateBefore = await flatState().accounts([sender, recipient]);
    await apply(await outcome());
    const stored = await database.get(reverseDeltaKey(1));
    if (stored === undefined) throw new Error('no reverse delta');
    const batch = new WriteBatch();
    writeDelta(decodeDelta(stored), batch);
    await database.write(batch);
    expect(await flatState().accounts([sender, recipient])).toEqual(stateBefore);
  });

  it('continues after a restart with the same head, mempool and fixed block (scenario 79)', async () => {
    await apply(admit(transfer(0n), transfer(1n)));
    await produceBlock();
    await apply(admit(transfer(2n)));
    await apply(await proposal());
    await apply(admit(transfer(3n)));
    const { head } = ledger;
    await database.close();
    await open();
    expect(ledger.head).toEqual(head);
    expect(opened.mempool.size).toBe(2);
    const { admissions } = await apply(admit(transfer(2n, 10_000_000_000n)));
    expect(admissions[0]?.results[0]).toMatchObject({ refusal: { code: 'NONCE_TOO_LOW' } });
  });

  it('gives equal bytes from equal logs, however the log is cut into ranges', async () => {
    const entries: Entry[] = [];
    const run = async (command: Command): Promise<void> => {
      const made = entry(command);
      entries.push(made);
      await ledger.apply([made]);
    };
    await run(admit(transfer(0n), transfer(1n)));
    await run(await proposal());
    await run(decision());
    await run(await outcome());
    await run(admit(transfer(2n)));
    await run(await proposal(1_700_000_003_000));
    await run(decision());
    await run(await outcome());
    const stepwise = await dump();
    await database.close();
    await rm(directory, { recursive: true });
    await open();
    let rest: readonly Entry[] = entries;
    while (rest.length > 0) {
      const { appliedIndex } = await ledger.apply(rest);
      rest = entries.slice(appliedIndex);
    }
    expect(await dump()).toEqual(stepwise);
  });

  it('stops at a command of another cluster, another term or no known form', async () => {
    const command = admit(transfer(0n));
    const foreign = encodeCommand({ clusterId: 'other', term: 1, command });
    const stale = encodeCommand({ clusterId: CLUSTER, term: 3, command });
    for (const data of [foreign, stale, Uint8Array.of(1, 2, 3)]) {
      await expect(
        ledger.apply([{ index: index + 1, term: 1, type: 'command', data }]),
      ).rejects.toMatchObject({ code: 'CANNOT_APPLY' });
      await database.close();
      await open();
    }
  });
});
