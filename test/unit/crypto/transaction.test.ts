import { Transaction as EthersTransaction, getCreateAddress, Wallet } from 'ethers';
import { describe, expect, it } from 'vitest';
import { SECP256K1_ORDER } from '../../../src/crypto/secp256k1.ts';
import {
  addressOf,
  contractAddress,
  recoverSender,
  signTransaction,
  transactionHash,
  type UnsignedTransaction,
} from '../../../src/crypto/transaction.ts';
import { toPrefixedHex } from '../../../src/lib/bytes.ts';
import { decodeTransaction } from '../../../src/types/transaction.ts';
import { SeededRandom } from './random.ts';

const SEED = 11;

function randomTransaction(random: SeededRandom, type: 0 | 1 | 2): UnsignedTransaction {
  const gasPrice = BigInt(random.below(2 ** 40));
  return {
    type,
    chainId: type === 0 && random.below(3) === 0 ? undefined : BigInt(1 + random.below(2 ** 31)),
    nonce: BigInt(random.below(1000)),
    maxFeePerGas: gasPrice,
    maxPriorityFeePerGas: type === 2 ? gasPrice / 2n : gasPrice,
    gasLimit: BigInt(21_000 + random.below(10 ** 6)),
    to: random.below(4) === 0 ? undefined : random.bytes(20),
    value: BigInt(random.below(2 ** 50)) * 10n ** 9n,
    data: random.bytes(random.below(100)),
    accessList:
      type === 0
        ? []
        : Array.from({ length: random.below(3) }, () => ({
            address: random.bytes(20),
            slots: Array.from({ length: random.below(3) }, () => random.bytes(32)),
          })),
  };
}

describe('transactions', () => {
  it(`sign, hash and recover as an independent library does (seed ${SEED})`, () => {
    const random = new SeededRandom(SEED);
    for (let round = 0; round < 45; round += 1) {
      const secretKey = random.bytes(32);
      const raw = signTransaction(randomTransaction(random, (round % 3) as 0 | 1 | 2), secretKey);
      const peer = EthersTransaction.from(toPrefixedHex(raw));
      const wallet = new Wallet(toPrefixedHex(secretKey));
      expect(toPrefixedHex(transactionHash(raw))).toBe(peer.hash);
      expect(peer.from).toBe(wallet.address);
      expect(toPrefixedHex(addressOf(secretKey))).toBe(wallet.address.toLowerCase());
      expect(recoverSender(decodeTransaction(raw))).toEqual(addressOf(secretKey));
    }
  });

  it('recover what an independent library signed', async () => {
    const wallet = new Wallet(toPrefixedHex(new SeededRandom(SEED).bytes(32)));
    for (const type of [0, 1, 2]) {
      const fees = type === 2 ? { maxFeePerGas: 9, maxPriorityFeePerGas: 1 } : { gasPrice: 7 };
      const to = wallet.address;
      const raw = await wallet.signTransaction({
        type,
        chainId: 77,
        to,
        gasLimit: 21_000,
        ...fees,
      });
      const transaction = decodeTransaction(Buffer.from(raw.slice(2), 'hex'));
      expect(transaction.chainId).toBe(77n);
      expect(toPrefixedHex(recoverSender(transaction))).toBe(wallet.address.toLowerCase());
    }
  });

  it('refuse the upper half of s and whatever is out of range', () => {
    const secretKey = new SeededRandom(SEED).bytes(32);
    const unsigned = randomTransaction(new SeededRandom(SEED), 2);
    const good = decodeTransaction(signTransaction(unsigned, secretKey));
    const mirrored = { ...good, s: SECP256K1_ORDER - good.s, yParity: 1 - good.yParity };
    expect(() => recoverSender(mirrored)).toThrow(expect.objectContaining({ code: 'HIGH_S' }));
    const hostile = [
      { r: 0n },
      { s: 0n },
      { r: SECP256K1_ORDER },
      { s: SECP256K1_ORDER },
      { r: 2n ** 256n - 1n },
      { r: 5n },
    ];
    for (const change of hostile)
      expect(() => recoverSender({ ...good, ...change })).toThrow(
        expect.objectContaining({ code: 'BAD_SIGNATURE' }),
      );
  });

  it('put contracts where Ethereum does', () => {
    const random = new SeededRandom(SEED);
    for (const nonce of [0n, 1n, 127n, 128n, 256n, 2n ** 40n]) {
      const sender = random.bytes(20);
      const expected = getCreateAddress({ from: toPrefixedHex(sender), nonce });
      expect(toPrefixedHex(contractAddress(sender, nonce))).toBe(expected.toLowerCase());
    }
  });
});
