import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recoverTransaction } from '../../src/crypto/recovery.ts';
import { transactionReason } from '../../src/execution/block_rules.ts';
import { worstCaseCost } from '../../src/execution/fees.ts';
import { fromHex, toPrefixedHex } from '../../src/lib/bytes.ts';
import { decodeTransaction, encodeTransaction } from '../../src/types/transaction.ts';
import { findEthereumTests, jsonFiles, readJson } from './ethereum_tests.ts';

type Vectors = Record<
  string,
  {
    txbytes: string;
    result: Record<string, { exception?: string; hash?: string; sender?: string }>;
  }
>;

const CHAIN = {
  chainId: 1n,
  height: 1,
  parameters: {
    blockGasLimit: 2n ** 64n - 1n,
    blockBytesMax: 2 ** 24,
    transactionBytesMax: 2 ** 20,
    segmentTransactions: 64,
    baseFeeInitial: 0n,
    baseFeeFloor: 0n,
    clockSkewMsMax: 1000,
    forks: [{ name: 'cancun', height: 0 }],
  },
} as const;

/** Why the transaction can be in no block, whatever the state; undefined when it can. */
function refusal(raw: Uint8Array): string | undefined {
  const recovered = recoverTransaction(raw);
  if (!recovered.ok) return recovered.code;
  // Nobody owns more wei than fits in 256 bits; the vectors judge the gas alone, without the value.
  if (worstCaseCost({ ...recovered, value: 0n }) >= 2n ** 256n) return 'INSUFFICIENT_FUNDS';
  const size = { ...recovered, creates: recovered.to === undefined, rawBytes: raw.length };
  // The vectors allow signatures that name no chain (before EIP-155); admission here refuses them.
  const chainId = recovered.chainId ?? CHAIN.chainId;
  return transactionReason({ ...recovered, chainId }, size, CHAIN);
}

const { path, absent } = findEthereumTests('TransactionTests');

// All files run. What is not a transaction of types 0 to 2 is invalid in the vectors as well.
describe('official TransactionTests under Cancun', () => {
  if (absent !== undefined) it.skip(absent, () => {});
  for (const file of absent === undefined ? jsonFiles(path) : []) {
    for (const [name, { txbytes, result }] of Object.entries(readJson<Vectors>(join(path, file)))) {
      // Vectors older than Cancun name no result for it; theirs is that of the last fork they know.
      const expected = result.Cancun ?? Object.values(result).at(-1)!;
      it(`${file} ${name} ${expected.exception ?? 'valid'}`, () => {
        const raw = fromHex(txbytes)!;
        if (expected.exception !== undefined) {
          expect(refusal(raw)).toBeDefined();
          return;
        }
        expect(refusal(raw)).toBeUndefined();
        const recovered = recoverTransaction(raw);
        expect(recovered.ok && toPrefixedHex(recovered.sender)).toBe(expected.sender);
        expect(toPrefixedHex(recovered.hash)).toBe(expected.hash);
        expect(encodeTransaction(decodeTransaction(raw))).toEqual(raw);
      });
    }
  }
});
