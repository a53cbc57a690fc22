import { keccak256 } from '../crypto/keccak.ts';
import { compareBytes, toPrefixedHex } from '../lib/bytes.ts';
import type { Genesis, GenesisAccount } from '../types/genesis.ts';
import type { AccountChange, CodeChange, Delta } from '../types/outcome.ts';
import { EMPTY_CODE_HASH } from '../types/primitives.ts';
import { ExecutionError } from './execution_error.ts';
import { byteString } from './flat_state.ts';

/**
 * The state of block 0 as a delta over nothing. Accounts that would be empty do not exist (EIP-161).
 * Throws BAD_GENESIS for storage without code or nonce: nothing could have written it (EIP-7610).
 */
export function genesisDelta(genesis: Genesis): Delta {
  const codes = new Map<string, CodeChange>();
  const accounts: AccountChange[] = [];
  for (const account of genesis.accounts) {
    const change = accountChange(account, codes);
    if (change !== undefined) accounts.push(change);
  }
  return {
    accounts: accounts.sort((left, right) => compareBytes(left.address, right.address)),
    codes: [...codes.values()].sort((left, right) => compareBytes(left.codeHash, right.codeHash)),
  };
}

function accountChange(
  { address, nonce, balance, code, storage }: GenesisAccount,
  codes: Map<string, CodeChange>,
): AccountChange | undefined {
  if (code.length === 0 && nonce === 0n) {
    if (storage.length > 0)
      throw new ExecutionError(
        'BAD_GENESIS',
        `account ${toPrefixedHex(address)} has storage but neither code nor nonce; give it its code`,
        { fields: { address: toPrefixedHex(address) } },
      );
    if (balance === 0n) return undefined;
  }
  let codeHash = EMPTY_CODE_HASH;
  if (code.length > 0) {
    codeHash = keccak256(code);
    codes.set(byteString(codeHash), { codeHash, code });
  }
  const slots = storage.map(({ slot, value }) => ({ slot, value }));
  slots.sort((left, right) => compareBytes(left.slot, right.slot));
  return { address, account: { nonce, balance, codeHash }, slots };
}
