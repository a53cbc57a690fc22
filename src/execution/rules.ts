import { createHash } from 'node:crypto';
import { Common, type CustomCrypto, Mainnet } from '@ethereumjs/common';
import { EVM, type EVMMockBlockchainInterface, type Message, NobleBN254 } from '@ethereumjs/evm';
import type { Address as EvmAddress, KZG } from '@ethereumjs/util';
import { keccak256 } from '../crypto/keccak.ts';
import { recoverPublicKey } from '../crypto/secp256k1.ts';
import { assert } from '../lib/assert.ts';
import { concatBytes } from '../lib/bytes.ts';
import type { ForkName } from '../types/validator.ts';
import type { BlockContext } from './block_context.ts';
import { EvmState } from './evm_state.ts';
import { forkAt } from './fees.ts';
import type { FlatState } from './flat_state.ts';
import { installInterpreterLoop } from './interpreter_loop.ts';
import { verifyKzgProof } from './kzg.ts';

// Once for each thread, before any EVM runs.
await installInterpreterLoop();

/** The EVM under one rule set, over a state that is exchanged between uses. */
export class Rules {
  readonly fork: ForkName;
  readonly evm: EVM;
  /** Unprefixed hex of the precompiles' addresses. */
  readonly precompiles: ReadonlySet<string>;
  readonly #state = new EvmState();
  readonly #blocks = new BlockHashes();

  constructor(options: { chainId: bigint; fork: ForkName }) {
    this.fork = options.fork;
    this.evm = new CreationCheckingEvm(
      {
        common: new FixedCommon(options),
        stateManager: this.#state,
        blockchain: this.#blocks,
        bn254: new NobleBN254(),
      },
      this.#state,
    );
    this.precompiles = new Set(this.evm.precompiles.keys());
  }

  /** Works on this state from now on. */
  use(state: FlatState): void {
    this.#state.use(state);
    this.#blocks.use(state);
  }
}

/** The rule sets of one thread, each made when it is first needed. */
export class RuleBook {
  readonly #rules = new Map<string, Rules>();

  at(context: Pick<BlockContext, 'chainId' | 'forks' | 'height'>): Rules {
    const { chainId } = context;
    const fork = forkAt(context.forks, context.height);
    const key = `${fork}/${chainId}`;
    let rules = this.#rules.get(key);
    if (rules === undefined) {
      rules = new Rules({ chainId, fork });
      this.#rules.set(key, rules);
    }
    return rules;
  }

  /** After an execution that was cut short, whose leftovers the EVM may still hold. */
  forget(): void {
    this.#rules.clear();
  }
}

/** Tells the state of each address that is about to be created, so that EIP-7610 can hold. */
class CreationCheckingEvm extends EVM {
  readonly #state: EvmState;

  constructor(options: ConstructorParameters<typeof EVM>[0], state: EvmState) {
    super(options);
    this.#state = state;
  }

  protected override async _generateAddress(message: Message): Promise<EvmAddress> {
    const address = await super._generateAddress(message);
    await this.#state.markCreationTarget(address.bytes);
    return address;
  }
}

/** Rules that never change after construction, so that each question is answered by a table. */
class FixedCommon extends Common {
  readonly #active: Uint8Array;
  readonly #parameters = new Map<string, bigint>();
  readonly #fixed: boolean;

  constructor(options: { chainId: bigint; fork: ForkName }) {
    super({
      chain: { ...Mainnet, chainId: String(options.chainId) },
      hardfork: options.fork,
      customCrypto,
    });
    this.#active = new Uint8Array(Math.max(...this._activatedEIPsCache) + 1);
    for (const eip of this._activatedEIPsCache) this.#active[eip] = 1;
    this.#fixed = true;
  }

  override isActivatedEIP(eip: number): boolean {
    // The base class asks while it is still being constructed.
    return this.#fixed ? this.#active[eip] === 1 : super.isActivatedEIP(eip);
  }

  override param(name: string): bigint {
    const known = this.#parameters.get(name);
    if (known !== undefined) return known;
    const value = super.param(name);
    this.#parameters.set(name, value);
    return value;
  }
}

/** BLOCKHASH, answered from decided headers. */
class BlockHashes implements EVMMockBlockchainInterface {
  #state: FlatState | undefined;

  use(state: FlatState): void {
    this.#state = state;
  }

  async getBlock(height: number): Promise<{ hash(): Uint8Array }> {
    const id = await this.#state?.blockHash(height);
    assert(id !== undefined, `the id of block ${height} must be known`);
    return { hash: () => id };
  }

  putBlock(): Promise<void> {
    return Promise.reject(new Error('the EVM stores no blocks'));
  }

  shallowCopy(): EVMMockBlockchainInterface {
    return this;
  }
}

const customCrypto: CustomCrypto = {
  keccak256,
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
  ecrecover: (digest, v, r, s) =>
    recoverPublicKey(digest, { compact: concatBytes(r, s), yParity: Number(v - 27n) }).subarray(1),
  // The precompile asks for nothing else of the interface.
  kzg: { verifyProof: verifyKzgProof } as KZG,
};
