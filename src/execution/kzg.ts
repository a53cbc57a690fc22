import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bytesToBigInt, fromHex } from '../lib/bytes.ts';

const { G1, G2 } = bls12_381;

/** The secret of Ethereum's KZG ceremony times the generator of G2, as EIP-4844 fixes it. */
const TAU_G2 = G2.Point.fromHex(
  'b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d' +
    '2914e5870cb452d2afaaab24f3499f72185cbfee53492714734429b7b38608e2' +
    '3926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2',
);
TAU_G2.assertValidity();

/**
 * Whether the polynomial under the commitment has value y at z (EIP-4844, the precompile at 0x0a).
 * All arguments are hex: commitment and proof 48 bytes, z and y 32. Anything malformed is false.
 */
export function verifyKzgProof(commitment: string, z: string, y: string, proof: string): boolean {
  const order = bls12_381.fields.Fr.ORDER;
  const [zValue, yValue] = [scalarFrom(z), scalarFrom(y)];
  if (zValue >= order || yValue >= order) return false;
  const [committed, witness] = [pointFrom(commitment), pointFrom(proof)];
  if (committed === undefined || witness === undefined) return false;
  // e(C − y·G1, G2) = e(proof, τ·G2 − z·G2), as a product that must be one.
  const left = committed.subtract(timesG1(yValue));
  const right = TAU_G2.subtract(zValue === 0n ? G2.Point.ZERO : G2.Point.BASE.multiply(zValue));
  const pairs = [
    { g1: left.negate(), g2: G2.Point.BASE },
    { g1: witness, g2: right },
  ].filter(({ g1, g2 }) => !g1.is0() && !g2.is0());
  if (pairs.length === 0) return true;
  const { Fp12 } = bls12_381.fields;
  return Fp12.eql(bls12_381.pairingBatch(pairs), Fp12.ONE);
}

function timesG1(scalar: bigint) {
  return scalar === 0n ? G1.Point.ZERO : G1.Point.BASE.multiply(scalar);
}

function scalarFrom(hex: string): bigint {
  return bytesToBigInt(fromHex(hex) ?? new Uint8Array(0));
}

/** A compressed point of the prime-order group, or none. */
function pointFrom(hex: string) {
  try {
    const point = G1.Point.fromBytes(fromHex(hex) ?? new Uint8Array(0));
    if (!point.is0()) point.assertValidity();
    return point;
  } catch {
    return undefined;
  }
}
