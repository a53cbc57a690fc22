import { logsBloom } from '../crypto/bloom.ts';
import { assert } from '../lib/assert.ts';
import { largerBigInt } from '../lib/bigint.ts';
import { bytesEqual, toHex } from '../lib/bytes.ts';
import type { Account } from '../types/outcome.ts';
import { type Address, BLOOM_BYTES, EMPTY_CODE_HASH } from '../types/primitives.ts';
import type { Log, Receipt } from '../types/receipt.ts';
import type { Transaction } from '../types/transaction.ts';
import type { BlockContext } from './block_context.ts';
import { effectiveGasPrice, floorGas, gasShape, intrinsicGas, worstCaseCost } from './fees.ts';
import type { AccountCell, FlatState } from './flat_state.ts';
import { type EvmBlock, evmBlock, runMessage } from './message_call.ts';
import type { Rules } from './rules.ts';

const BALANCE_MAX = (1n << 256n) - 1n;
const EMPTY_BLOOM = new Uint8Array(BLOOM_BYTES);
const NO_LOGS: readonly Log[] = [];

/** How a transfer to an account without code is executed; the results are the same. */
export type TransferPath = 'short' | 'interpreted';

interface TransactionGas {
  readonly price: bigint;
  readonly intrinsic: bigint;
  readonly floor: bigint;
}

interface TransactionResult {
  readonly succeeded: boolean;
  readonly gasUsed: bigint;
  readonly logs: readonly Log[];
}

/**
 * Executes the transactions of one block one after the other. Each must be executable, as in every
 * valid block; one that is not is a broken invariant of ours.
 */
export class BlockExecution {
  readonly #context: BlockContext;
  readonly #transfers: TransferPath;
  readonly #rules: Rules;
  readonly #state: FlatState;
  readonly #block: EvmBlock;
  readonly #receipts: Receipt[] = [];
  #gasUsed = 0n;
  /** Wei for the coinbase, credited once the last transaction is done. */
  #tips = 0n;

  constructor(
    options: { context: BlockContext; transfers: TransferPath },
    dependencies: { rules: Rules; state: FlatState },
  ) {
    this.#context = options.context;
    this.#transfers = options.transfers;
    this.#rules = dependencies.rules;
    this.#state = dependencies.state;
    this.#block = evmBlock(options.context);
    this.#rules.use(dependencies.state);
  }

  get receipts(): readonly Receipt[] {
    return this.#receipts;
  }

  get gasUsed(): bigint {
    return this.#gasUsed;
  }

  async execute(transaction: Transaction, sender: Address): Promise<void> {
    const state = this.#state;
    state.beginTransaction();
    const from = state.accountCell(sender) ?? (await state.loadAccount(sender));
    const shape = gasShape(transaction);
    const gas: TransactionGas = {
      price: effectiveGasPrice(transaction, this.#context.baseFeePerGas),
      intrinsic: intrinsicGas(shape),
      floor: floorGas(shape, this.#rules.fork),
    };
    this.#assertExecutable(transaction, from.now, gas);
    const recipient = await this.#plainRecipient(transaction);
    const result =
      recipient === undefined
        ? await this.#interpret(transaction, from, gas)
        : this.#transfer(transaction, { from, recipient, gas });
    this.#gasUsed += result.gasUsed;
    this.#tips += result.gasUsed * (gas.price - this.#context.baseFeePerGas);
    this.#receipts.push({
      type: transaction.type,
      succeeded: result.succeeded,
      cumulativeGasUsed: this.#gasUsed,
      logsBloom: result.logs.length === 0 ? EMPTY_BLOOM : logsBloom(result.logs),
      logs: result.logs,
    });
  }

  /** Credits the tips. Nothing may be executed afterwards. */
  async finish(): Promise<void> {
    this.#state.beginTransaction();
    if (this.#tips === 0n) return;
    const coinbase = await this.#state.loadAccount(this.#context.coinbase);
    this.#state.setAccount(coinbase, withBalance(coinbase.now, this.#tips));
    this.#tips = 0n;
  }

  #assertExecutable(
    transaction: Transaction,
    sender: Account | undefined,
    gas: TransactionGas,
  ): void {
    const { nonce, chainId, gasLimit } = transaction;
    const known = sender ?? { nonce: 0n, balance: 0n, codeHash: EMPTY_CODE_HASH };
    assert(chainId === this.#context.chainId || chainId === undefined, 'chain id is not ours');
    assert(nonce === known.nonce, `nonce ${nonce} must be ${known.nonce}`);
    assert(bytesEqual(known.codeHash, EMPTY_CODE_HASH), 'a sender must have no code (EIP-3607)');
    assert(known.balance >= worstCaseCost(transaction), 'the sender must afford the worst case');
    assert(
      transaction.maxFeePerGas >= this.#context.baseFeePerGas,
      'the fee cap must reach the base fee',
    );
    assert(gasLimit >= gas.intrinsic && gasLimit >= gas.floor, 'the gas limit must be enough');
    assert(gasLimit <= this.#context.gasLimit - this.#gasUsed, 'the block must have the gas left');
  }

  /** The recipient whose crediting is all that happens, or undefined when the EVM has to run. */
  async #plainRecipient({ to, value }: Transaction): Promise<AccountCell | undefined> {
    if (this.#transfers === 'interpreted' || to === undefined) return undefined;
    const cell = this.#state.accountCell(to) ?? (await this.#state.loadAccount(to));
    const account = cell.now;
    if (account !== undefined) {
      if (!bytesEqual(account.codeHash, EMPTY_CODE_HASH)) return undefined;
      if (account.balance + value > BALANCE_MAX) return undefined;
    }
    return this.#rules.precompiles.has(toHex(to)) ? undefined : cell;
  }

  #transfer(
    { value }: Transaction,
    parties: { from: AccountCell; recipient: AccountCell; gas: TransactionGas },
  ): TransactionResult {
    const { from, recipient, gas } = parties;
    const gasUsed = largerBigInt(gas.intrinsic, gas.floor);
    const cost = gasUsed * gas.price + (from === recipient ? 0n : value);
    this.#state.setAccount(from, withBalance(withNextNonce(from.now), -cost));
    if (value > 0n && from !== recipient)
      this.#state.setAccount(recipient, withBalance(recipient.now, value));
    return { succeeded: true, gasUsed, logs: NO_LOGS };
  }

  async #interpret(
    transaction: Transaction,
    from: AccountCell,
    gas: TransactionGas,
  ): Promise<TransactionResult> {
    const state = this.#state;
    const bought = transaction.gasLimit * gas.price;
    state.setAccount(from, withBalance(withNextNonce(from.now), -bought));
    const { to, data, value, gasLimit, accessList } = transaction;
    const { exception, gasUsed, logs } = await runMessage(
      {
        sender: from.address,
        to,
        data,
        value,
        gasLimit,
        gasPrice: gas.price,
        accessList,
        intrinsicGas: gas.intrinsic,
        floorGas: gas.floor,
      },
      { rules: this.#rules, state, block: this.#block },
    );
    state.setAccount(from, withBalance(from.now, (gasLimit - gasUsed) * gas.price));
    return { succeeded: exception === undefined, gasUsed, logs };
  }
}

function withNextNonce(account: Account | undefined): Account {
  return {
    nonce: (account?.nonce ?? 0n) + 1n,
    balance: account?.balance ?? 0n,
    codeHash: account?.codeHash ?? EMPTY_CODE_HASH,
  };
}

function withBalance(account: Account | undefined, change: bigint): Account {
  return {
    nonce: account?.nonce ?? 0n,
    balance: (account?.balance ?? 0n) + change,
    codeHash: account?.codeHash ?? EMPTY_CODE_HASH,
  };
}
