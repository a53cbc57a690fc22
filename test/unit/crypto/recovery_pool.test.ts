import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InThreadRecovery } from '../../../src/crypto/recovery.ts';
import { RecoveryPool } from '../../../src/crypto/recovery_pool.ts';
import { SECP256K1_ORDER } from '../../../src/crypto/secp256k1.ts';
import { addressOf, signTransaction, transactionHash } from '../../../src/crypto/transaction.ts';
import { decodeTransaction, encodeTransaction } from '../../../src/types/transaction.ts';
import { SeededRandom } from './random.ts';

const SEED = 41;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Good transactions of each type and shape, among them one of each kind of bad one. */
function mixedBatch(
  random: SeededRandom,
  count: number,
): { raws: Uint8Array[]; secretKey: Uint8Array } {
  const secretKey = random.bytes(32);
  const raws = Array.from({ length: count }, (_, index) => {
    const type = (index % 3) as 0 | 1 | 2;
    const raw = signTransaction(
      {
        type,
        chainId: type === 0 && index % 2 === 0 ? undefined : 9n,
        nonce: BigInt(index),
        maxPriorityFeePerGas: type === 2 ? 1n : 2n ** 200n + 5n,
        maxFeePerGas: 2n ** 200n + 5n,
        gasLimit: 2n ** 63n,
        to: index % 4 === 0 ? undefined : random.bytes(20),
        value: 2n ** 255n + BigInt(index),
        data: Uint8Array.from({ length: index % 50 }, (_, at) => at % 3),
        accessList: type === 0 ? [] : [{ address: random.bytes(20), slots: [random.bytes(32)] }],
      },
      secretKey,
    );
    const transaction = decodeTransaction(raw);
    if (index % 7 === 3) return raw.subarray(1);
    if (index % 11 === 5) return encodeTransaction({ ...transaction, r: 5n });
    if (index % 13 === 7)
      return encodeTransaction({ ...transaction, s: SECP256K1_ORDER - transaction.s });
    return raw;
  });
  return { raws, secretKey };
}

describe('recovery', () => {
  const pool = new RecoveryPool({ threads: 2, queueMax: 2000 }, { logger: silent });
  beforeAll(() => pool.start());
  afterAll(() => pool.stop());

  it(`gives in threads what it gives in place, one failure never failing the batch (seed ${SEED})`, async () => {
    const { raws, secretKey } = mixedBatch(new SeededRandom(SEED), 700);
    const expected = await new InThreadRecovery().recover(raws);
    expect(await pool.recover(raws)).toEqual(expected);
    const oneByOne = await Promise.all(raws.map((raw) => pool.recover([raw])));
    expect(oneByOne.flat()).toEqual(expected);
    const codes = new Set(expected.map((result) => (result.ok ? 'ok' : result.code)));
    expect(codes).toEqual(new Set(['ok', 'MALFORMED', 'BAD_SIGNATURE', 'HIGH_S']));
    const first = expected[4]!;
    const decoded = decodeTransaction(raws[4]!);
    expect(first).toMatchObject({
      ok: true,
      hash: transactionHash(raws[4]!),
      sender: addressOf(secretKey),
      nonce: decoded.nonce,
      maxFeePerGas: decoded.maxFeePerGas,
      value: decoded.value,
      dataBytes: 4,
      dataZeroBytes: 2,
      accessListAddresses: 1,
      accessListSlots: 1,
    });
  });

  it('refuses what does not fit its queue, and answers an empty call', async () => {
    const raws = Array.from({ length: 2001 }, () => Uint8Array.of(0xc0));
    await expect(pool.recover(raws)).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(await pool.recover([])).toEqual([]);
    expect(await pool.recover(raws.slice(0, 2000))).toHaveLength(2000);
  });

  it('rejects calls that are open when it stops, and later ones', async () => {
    const brief = new RecoveryPool({ threads: 1, queueMax: 2000 }, { logger: silent });
    await expect(brief.recover([Uint8Array.of(1)])).rejects.toMatchObject({ code: 'STOPPED' });
    await brief.start();
    const { raws } = mixedBatch(new SeededRandom(SEED), 500);
    const open = expect(brief.recover(raws)).rejects.toMatchObject({ code: 'STOPPED' });
    await brief.stop();
    await open;
    await expect(brief.recover(raws)).rejects.toMatchObject({ code: 'STOPPED' });
  });
});
