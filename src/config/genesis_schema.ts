import { z } from 'zod';
import { bigIntToBytes, bytesToBigInt, fromHex, toPrefixedHex } from '../lib/bytes.ts';
import { HASH_BYTES } from '../types/primitives.ts';
import { BLS_PUBLIC_KEY_BYTES } from '../types/validator.ts';
import { parseAddress } from './address_text.ts';
import { parseAmount } from './amount.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const UINT256_MAX = 2n ** 256n - 1n;
const INT64_MAX = 2n ** 63n - 1n;
/** Nonces stay below the largest 64-bit number (EIP-2681). */
const NONCE_MAX = 2n ** 64n - 2n;
/** EIP-170. */
const CODE_BYTES_MAX = 24_576;
/** EIP-3541: the first byte of code that is reserved. */
const RESERVED_CODE_START = 0xef;
/** A time below this was meant in seconds. */
const TIMESTAMP_MS_MIN = 100_000_000_000;
const TIME_FORM = 'milliseconds since 1970, or a time like 2026-01-01T00:00:00Z';
const IN_SECONDS = 'looks like seconds; give milliseconds since 1970';
const TIMESTAMP_MS_MAX = 8_640_000_000_000_000;
const GAS_LIMIT_MIN = 21_000n;
/**
 * The outcome of a block is one entry of the log, which holds at most 16 MiB. Nothing makes an outcome grow faster
 * than the data of logs, a byte for 8 gas: above this a single client could stop the chain for ever.
 */
const BLOCK_GAS_LIMIT_MAX = 120_000_000n;

const IN_QUOTES = 'put it in quotes, or YAML reads a rounded number';

/** A schema of texts that a function turns into a value, or into a message of what is wrong. */
function textOf<Value extends object>(parse: (text: string) => Value | string) {
  return z
    .string({
      error: ({ input }) =>
        input === undefined
          ? 'is missing; give 0x and hex digits in quotes'
          : `must be a text of 0x and hex digits; ${IN_QUOTES}`,
    })
    .transform((text, context): Value => {
      const parsed = parse(text);
      if (typeof parsed !== 'string') return parsed;
      context.issues.push({ code: 'custom', message: parsed, input: text });
      return z.NEVER;
    });
}

/** A schema of bytes in 0x form, with what else must hold of them. */
function hexBytes(isFine: (bytes: Uint8Array) => boolean, message: string) {
  return textOf((text) => {
    const bytes = text.startsWith('0x') ? fromHex(text) : undefined;
    return bytes !== undefined && isFine(bytes) ? bytes : message;
  });
}

/** A schema of whole numbers, written as numbers while they are safe and as texts beyond. */
function quantity(options: {
  parse: (text: string) => bigint | undefined;
  min: bigint;
  max: bigint;
  form: string;
}) {
  const { parse, min, max, form } = options;
  const message = `must be ${form} from ${min} to ${max}`;
  return z
    .union([z.string(), z.int()], {
      error: ({ input }) => {
        if (input === undefined) return `is missing; give ${form}`;
        return typeof input === 'number' ? `${message}; ${IN_QUOTES}` : message;
      },
    })
    .transform((written, context): bigint => {
      const value = parse(String(written));
      if (value !== undefined && value >= min && value <= max) return value;
      context.issues.push({ code: 'custom', message, input: written });
      return z.NEVER;
    });
}

const wholeNumber = (min: bigint, max: bigint) =>
  quantity({
    parse: (text) => (/^[0-9]{1,78}$/.test(text) ? BigInt(text) : undefined),
    min,
    max,
    form: 'a whole number',
  });

const wei = (min: bigint, max: bigint) =>
  quantity({ parse: parseAmount, min, max, form: 'wei or an amount like "1000 ether"' });

const address = textOf(parseAddress);

const word = hexBytes(
  (bytes) => bytes.length === HASH_BYTES,
  `must be 0x and ${2 * HASH_BYTES} hex digits`,
);

const timestamp = z
  .union(
    [
      z.iso.datetime({ offset: true, error: `must be ${TIME_FORM}` }),
      z.int().min(TIMESTAMP_MS_MIN, IN_SECONDS).max(TIMESTAMP_MS_MAX),
    ],
    {
      error: ({ input }) => {
        const form = 'milliseconds since 1970, or a time like 2026-01-01T00:00:00Z';
        return input === undefined ? `is missing; give ${form}` : `must be ${form}`;
      },
    },
  )
  .transform((written) => (typeof written === 'number' ? written : Date.parse(written)));

const parametersSchema = z.strictObject({
  blockGasLimit: wholeNumber(GAS_LIMIT_MIN, BLOCK_GAS_LIMIT_MAX)
    .prefault(60_000_000)
    .describe('Gas limit of every block.'),
  blockBytesMax: z
    .int()
    .min(KIB)
    .max(8 * MIB)
    .default(2 * MIB)
    .describe('Bytes of all transactions of a block.'),
  transactionBytesMax: z
    .int()
    .min(256)
    .max(MIB)
    .default(128 * KIB)
    .describe('Bytes of one transaction.'),
  segmentTransactions: z
    .int()
    .min(1)
    .max(4_096)
    .refine((count) => (count & (count - 1)) === 0, 'must be a power of two')
    .default(64)
    .describe('Leaves of one segment of the transactions tree: a power of two.'),
  baseFeeInitial: wei(0n, INT64_MAX)
    .prefault('1 gwei')
    .describe('Base fee of the first block, in wei.'),
  baseFeeFloor: wei(0n, INT64_MAX).prefault(7).describe('The base fee never falls below this.'),
  clockSkewMsMax: z
    .int()
    .min(1)
    .max(3_600_000)
    .default(5_000)
    .describe("How far a proposal's time may be from a voter's clock."),
  forks: z
    .array(
      z.strictObject({
        name: z.enum(['cancun', 'prague']),
        height: z.int().min(0),
      }),
    )
    .default([{ name: 'cancun', height: 0 }])
    .describe('Rule sets with the height from which each holds; the first is at 0.'),
});

const validatorSchema = z.strictObject({
  publicKey: hexBytes(
    (bytes) => bytes.length === BLS_PUBLIC_KEY_BYTES && isCompressedPoint(bytes),
    `must be a compressed BLS12-381 key: 0x and ${2 * BLS_PUBLIC_KEY_BYTES} hex digits, the first 8 to b`,
  ),
  power: wholeNumber(1n, INT64_MAX).prefault(1).describe('Stake, as voting power.'),
  rewardAddress: address.describe('Where fees go.'),
});

/** The flag bits of a compressed point that is not the point at infinity. */
function isCompressedPoint(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0xc0) === 0x80;
}

const storageSchema = z
  .record(
    z.string(),
    hexBytes(
      (bytes) => bytes.length >= 1 && bytes.length <= HASH_BYTES && bytesToBigInt(bytes) > 0n,
      `must be 0x and up to ${2 * HASH_BYTES} hex digits, not zero (an absent slot is zero)`,
    ),
    {
      error: ({ input }) => (input === undefined ? undefined : 'must be a map of slots to values'),
    },
  )
  .transform((written, context) =>
    Object.entries(written).flatMap(([key, bytes]) => {
      const slot = word.safeParse(key);
      const value = bigIntToBytes(bytesToBigInt(bytes));
      if (slot.success) return [{ slot: slot.data, value }];
      context.issues.push({
        code: 'custom',
        path: [key],
        message: `is not a slot: the key must be 0x and ${2 * HASH_BYTES} hex digits in quotes`,
        input: toPrefixedHex(value),
      });
      return [];
    }),
  );

const accountSchema = z.strictObject({
  address,
  balance: wei(0n, UINT256_MAX).prefault(0).describe('Wei, or a text like "1000 ether".'),
  nonce: wholeNumber(0n, NONCE_MAX).prefault(0),
  code: hexBytes(
    (bytes) => bytes.length <= CODE_BYTES_MAX && bytes[0] !== RESERVED_CODE_START,
    `must be 0x and the hex of at most ${CODE_BYTES_MAX} bytes of code that do not start with ef`,
  ).prefault('0x'),
  storage: storageSchema.prefault({}).describe('Values by slot.'),
});

/** The genesis file as written; relations between the values are checked apart. */
export const genesisSchema = z
  .strictObject({
    version: z.literal(1).describe('Version of this form.'),
    chainId: wholeNumber(1n, INT64_MAX).describe('EIP-155 id of the chain.'),
    timestamp: timestamp.describe('Time of block 0: ISO 8601 with a zone, or milliseconds.'),
    parameters: parametersSchema.prefault({}),
    validators: z.array(validatorSchema).min(1, 'must name at least one validator').max(1_000),
    accounts: z.array(accountSchema).default([]),
  })
  .describe('The genesis of a BlockRaFT chain.');

export type GenesisFile = z.output<typeof genesisSchema>;
