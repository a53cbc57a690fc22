import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { validatorAddress } from '../../../src/crypto/block.ts';
import { generateSecretKey, publicKey } from '../../../src/crypto/bls.ts';
import { addressOf, signTransaction } from '../../../src/crypto/transaction.ts';
import type { AppliedOutcome, RangeEffects } from '../../../src/ledger/apply_range.ts';
import { FlatState } from '../../../src/ledger/flat_state.ts';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { genesisState, type OpenedLedger, openLedger } from '../../../src/ledger/open_ledger.ts';
import type { Clock } from '../../../src/lib/environment.ts';
import { Database } from '../../../src/storage/database.ts';
import { type Command, decodeCommand, encodeCommand } from '../../../src/types/command.ts';
import {
  type Configuration,
  encodeConfiguration,
  initialConfiguration,
  type MemberRecord,
} from '../../../src/types/configuration.ts';
import type { Entry } from '../../../src/types/entry.ts';
import type { Genesis } from '../../../src/types/genesis.ts';
import type { Transaction } from '../../../src/types/transaction.ts';

export const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const blsSecret = generateSecretKey(new Uint8Array(32).fill(7));
const validatorKey = publicKey(blsSecret);
export const senderKey = new Uint8Array(32).fill(1);
export const sender = addressOf(senderKey);
const GENESIS_TIME_MS = 1_700_000_000_000;

export const genesis: Genesis = {
  chainId: 1337n,
  timestampMs: GENESIS_TIME_MS,
  parameters: {
    blockGasLimit: 30_000_000n,
    blockBytesMax: 1_000_000,
    transactionBytesMax: 100_000,
    segmentTransactions: 64,
    baseFeeInitial: 1_000_000_000n,
    baseFeeFloor: 7n,
    clockSkewMsMax: 1_000,
    forks: [{ name: 'cancun', height: 0 }],
  },
  validators: [
    {
      address: validatorAddress(validatorKey),
      publicKey: validatorKey,
      power: 1n,
      rewardAddress: new Uint8Array(20).fill(0xfe),
    },
  ],
  accounts: [
    { address: sender, balance: 10n ** 19n, nonce: 0n, code: new Uint8Array(0), storage: [] },
  ],
};

export function memberRecord(id: number, priority = 100): MemberRecord {
  const address = { host: '127.0.0.1', peerPort: 7_000 + id, apiPort: 8_000, adminPort: 9_000 };
  return { id, address, priority };
}

/** Three voters. */
export const founders = initialConfiguration([1, 2, 3].map((id) => memberRecord(id)));

/** A signed transfer of the funded account, or whatever the changes make of it. */
export function transfer(
  nonce: bigint,
  changes: Partial<Transaction> = {},
  secretKey = senderKey,
): Uint8Array {
  const transaction = {
    type: 2,
    chainId: genesis.chainId,
    nonce,
    maxPriorityFeePerGas: 1n,
    maxFeePerGas: 2_000_000_001n,
    gasLimit: 21_000n,
    to: new Uint8Array(20).fill(9),
    value: 5n,
    data: new Uint8Array(0),
    accessList: [],
    ...changes,
  };
  return signTransaction(transaction as Parameters<typeof signTransaction>[0], secretKey);
}

/** Time that passes only by `advance`. */
export class ManualClock implements Clock {
  nowMs = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  monotonicMs = (): number => this.nowMs;
  wallMs = (): number => GENESIS_TIME_MS + 1_000 + this.nowMs;

  schedule = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  get timers(): number {
    return this.#timers.length;
  }

  /** Milliseconds until the next timer. */
  get nextMs(): number | undefined {
    if (this.#timers.length === 0) return undefined;
    return Math.min(...this.#timers.map(({ atMs }) => atMs)) - this.nowMs;
  }

  advance(byMs: number): void {
    this.nowMs += byMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { callback } of due.sort((left, right) => left.atMs - right.atMs)) callback();
  }
}

/** A ledger over a real database behind a log that commits when told. */
export class TestLedger {
  readonly genesis: Genesis;
  readonly #directory: string;
  database!: Database;
  opened!: OpenedLedger;
  ledger!: Ledger;
  beforeOutcome: (applied: AppliedOutcome) => void = () => undefined;
  /** Everything proposed, committed or not. */
  log: Entry[] = [];
  term = 1;

  static async open(genesisOfChain: Genesis = genesis): Promise<TestLedger> {
    const directory = await mkdtemp(join(tmpdir(), 'blockraft-replica-'));
    const made = new TestLedger(genesisOfChain, directory);
    await made.#open();
    return made;
  }

  constructor(genesisOfChain: Genesis, directory: string) {
    this.genesis = genesisOfChain;
    this.#directory = directory;
  }

  get flatState(): FlatState {
    return new FlatState(
      this.database,
      async (height) => (await this.opened.chain.block(height))?.blockId,
    );
  }

  /** Commands of the log that are not applied yet. */
  get open(): Command[] {
    return this.log
      .slice(this.ledger.head.appliedIndex)
      .filter(({ type }) => type === 'command')
      .map(({ data }) => decodeCommand(data).command);
  }

  propose = (command: Command): { index: number; term: number } => {
    const { term } = this;
    const data = encodeCommand({ clusterId: 'test', term, command });
    const index = this.log.length + 1;
    this.log.push({ index, term, type: 'command', data });
    return { index, term };
  };

  /** A new leader's first entry. */
  startTerm(term: number): void {
    this.term = term;
    this.log.push({ index: this.log.length + 1, term, type: 'noop', data: new Uint8Array(0) });
  }

  /** The core writes these itself. */
  configure(configuration: Configuration): void {
    const index = this.log.length + 1;
    const data = encodeConfiguration(configuration);
    this.log.push({ index, term: this.term, type: 'configuration', data });
  }

  /** Commits and applies the next entry. */
  async applyNext(): Promise<RangeEffects> {
    const { appliedIndex } = this.ledger.head;
    return this.ledger.apply(this.log.slice(appliedIndex, appliedIndex + 1));
  }

  admit(...raws: Uint8Array[]): { index: number; term: number } {
    return this.propose({
      type: 'AdmitTransactions',
      expiresAtMs: GENESIS_TIME_MS + 100_000,
      transactions: raws.map((raw) => ({ raw, sender })),
    });
  }

  async restart(): Promise<void> {
    await this.database.close();
    await this.#open();
  }

  async close(): Promise<void> {
    await this.database.close();
    await rm(this.#directory, { recursive: true });
  }

  async #open(): Promise<void> {
    this.database = await Database.open({ directory: this.#directory });
    this.opened = await openLedger(
      {
        genesis: this.genesis,
        state: await genesisState(this.genesis),
        limits: { transactionsMax: 100, transactionsPerSenderMax: 50, nonceGapMax: 10 },
        configuration: founders,
        newFolderId: () => new Uint8Array(16),
      },
      this.database,
    );
    const { head, chain, mempool } = this.opened;
    this.ledger = new Ledger(
      { clusterId: 'test', genesis: this.genesis, head },
      {
        database: this.database,
        mempool,
        chain,
        logger: silent,
        beforeOutcome: (applied) => this.beforeOutcome(applied),
      },
    );
  }
}

const PAUSES_MAX = 10_000;

/** Waits until something holds. */
export async function until(holds: () => boolean, what = 'it'): Promise<void> {
  for (let pauses = 0; pauses < PAUSES_MAX; pauses += 1) {
    if (holds()) return;
    await pause(1);
  }
  throw new Error(`${what} did not happen`);
}

/** Time in which something that must not happen could. */
export async function quiet(): Promise<void> {
  for (let pauses = 0; pauses < 20; pauses += 1) await pause(1);
}
