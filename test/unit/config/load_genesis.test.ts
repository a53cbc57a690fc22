import { getAddress } from 'ethers';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadGenesis, parseGenesis } from '../../../src/config/load_genesis.ts';
import { validatorAddress } from '../../../src/crypto/block.ts';
import { generateSecretKey, publicKey } from '../../../src/crypto/bls.ts';
import { bytesEqual, toPrefixedHex } from '../../../src/lib/bytes.ts';
import { problemsOf } from './cluster_text.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests write what no type allows.
type PlainGenesis = Record<string, any>;

const KEY = publicKey(generateSecretKey(new Uint8Array(32).fill(7)));
const OTHER_KEY = publicKey(generateSecretKey(new Uint8Array(32).fill(8)));
const ADDRESS = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const MISTYPED = ADDRESS.replace('5aAeb', '5aAec');
const SLOT = `0x${'00'.repeat(31)}01`;

const plainAddress = (last: string) => `0x${'00'.repeat(19)}${last}`;

function minimalGenesis(): PlainGenesis {
  return {
    version: 1,
    chainId: 1337,
    timestamp: '2026-01-01T00:00:00Z',
    validators: [{ publicKey: toPrefixedHex(KEY), rewardAddress: ADDRESS }],
  };
}

const parse = (genesis: PlainGenesis) => parseGenesis(stringify(genesis), 'genesis.yaml');

describe('a valid genesis', () => {
  test('needs a chain id, a time and a validator; the rest has defaults', () => {
    expect(parse(minimalGenesis())).toEqual({
      chainId: 1337n,
      timestampMs: Date.UTC(2026, 0, 1),
      parameters: {
        blockGasLimit: 60_000_000n,
        blockBytesMax: 2 * 1024 * 1024,
        transactionBytesMax: 128 * 1024,
        segmentTransactions: 64,
        baseFeeInitial: 1_000_000_000n,
        baseFeeFloor: 7n,
        clockSkewMsMax: 5_000,
        forks: [{ name: 'cancun', height: 0 }],
      },
      validators: [
        {
          address: validatorAddress(KEY),
          publicKey: KEY,
          power: 1n,
          rewardAddress: Uint8Array.from(Buffer.from(ADDRESS.slice(2), 'hex')),
        },
      ],
      accounts: [],
    });
  });

  test('has its accounts and slots in order, values without leading zeros', () => {
    const { accounts } = parse({
      ...minimalGenesis(),
      accounts: [
        {
          address: plainAddress('ff'),
          code: '0x6000',
          nonce: '18446744073709551614',
          storage: { [`0x${'ff'.repeat(32)}`]: '0x01', [SLOT]: `0x${'00'.repeat(30)}0100` },
        },
        { address: plainAddress('01'), balance: '1000 ether' },
        { address: plainAddress('02'), balance: (2n ** 255n).toString() },
      ],
    });
    expect(accounts.map(({ address }) => address[19])).toEqual([1, 2, 255]);
    expect(accounts.map(({ balance }) => balance)).toEqual([10n ** 21n, 2n ** 255n, 0n]);
    expect(accounts[2]?.nonce).toBe(2n ** 64n - 2n);
    expect(accounts[2]?.storage.map(({ slot, value }) => [slot[31], [...value]])).toEqual([
      [1, [1, 0]],
      [255, [1]],
    ]);
  });

  test('may be written as JSON', () => {
    const text = JSON.stringify(minimalGenesis(), null, 2);
    expect(parseGenesis(text, 'genesis.json')).toEqual(parse(minimalGenesis()));
  });

  test('may give its time in milliseconds or with another zone', () => {
    const at = (timestamp: unknown) => parse({ ...minimalGenesis(), timestamp }).timestampMs;
    expect(at(1_767_225_600_123)).toBe(1_767_225_600_123);
    expect(at('2026-01-01T02:00:00.5+02:00')).toBe(Date.UTC(2026, 0, 1) + 500);
  });

  test('is frozen except for its bytes', () => {
    const genesis = parse(minimalGenesis());
    expect(() => Object.assign(genesis.parameters, { blockGasLimit: 1n })).toThrow(TypeError);
    expect(bytesEqual(genesis.validators[0]!.publicKey, KEY)).toBe(true);
  });

  test('takes thousands of accounts', () => {
    const accounts = Array.from({ length: 5_000 }, (_, index) => ({
      address: `0x${index.toString(16).padStart(40, '0')}`,
      balance: '1 ether',
    }));
    expect(parse({ ...minimalGenesis(), accounts }).accounts).toHaveLength(5_000);
  });
});

const HEX_NEEDED =
  'must be a text of 0x and hex digits; put it in quotes, or YAML reads a rounded number';
const KEY_NEEDED = 'must be a compressed BLS12-381 key: 0x and 96 hex digits, the first 8 to b';
const account = (fields: PlainGenesis) => ({ accounts: [{ address: ADDRESS, ...fields }] });
const validator = (fields: PlainGenesis) => ({
  validators: [{ publicKey: toPrefixedHex(KEY), rewardAddress: ADDRESS, ...fields }],
});
const WEI_RANGE = `must be wei or an amount like "1000 ether" from 0 to ${2n ** 256n - 1n}`;
const TIME_FORM = 'must be milliseconds since 1970, or a time like 2026-01-01T00:00:00Z';

const CHANGES: [string, PlainGenesis, string[]][] = [
  ['chain id 0', { chainId: 0 }, [`chainId: must be a whole number from 1 to ${2n ** 63n - 1n}`]],
  [
    'a chain id beyond 63 bits',
    { chainId: (2n ** 63n).toString() },
    [`chainId: must be a whole number from 1 to ${2n ** 63n - 1n}`],
  ],
  [
    'a chain id in hex',
    { chainId: '0x539' },
    [`chainId: must be a whole number from 1 to ${2n ** 63n - 1n}`],
  ],
  [
    'a number that YAML would round',
    { chainId: 2 ** 60 },
    ['chainId: is more than a YAML number can hold exactly; put it in quotes'],
  ],
  [
    'no time',
    { timestamp: undefined },
    [`timestamp: ${TIME_FORM.replace('must be', 'is missing; give')}`],
  ],
  [
    'a time in seconds',
    { timestamp: 1_767_225_600 },
    ['timestamp: looks like seconds; give milliseconds since 1970'],
  ],
  ['a time without a zone', { timestamp: '2026-01-01T00:00:00' }, [`timestamp: ${TIME_FORM}`]],
  ['a day that there is not', { timestamp: '2026-02-30T00:00:00Z' }, [`timestamp: ${TIME_FORM}`]],
  ['no validator', { validators: [] }, ['validators: must name at least one validator']],
  ['a short key', validator({ publicKey: '0x8012' }), [`validators[0].publicKey: ${KEY_NEEDED}`]],
  [
    'an uncompressed key',
    validator({ publicKey: `0x17${'00'.repeat(47)}` }),
    [`validators[0].publicKey: ${KEY_NEEDED}`],
  ],
  [
    'the key that is no key',
    validator({ publicKey: `0xc0${'00'.repeat(47)}` }),
    [`validators[0].publicKey: ${KEY_NEEDED}`],
  ],
  [
    'a validator without power',
    validator({ power: 0 }),
    [`validators[0].power: must be a whole number from 1 to ${2n ** 63n - 1n}`],
  ],
  [
    'a validator twice',
    { validators: [...validator({}).validators, ...validator({ power: 2 }).validators] },
    ['validators[1].publicKey: repeats entry 0; remove one of the two'],
  ],
  [
    'too much power together',
    {
      validators: [KEY, OTHER_KEY].map((key) => ({
        publicKey: toPrefixedHex(key),
        rewardAddress: ADDRESS,
        power: (2n ** 60n).toString(),
      })),
    },
    [`validators: have a power of ${2n ** 61n} together; at most ${2n ** 60n} are allowed`],
  ],
  [
    'no reward address',
    validator({ rewardAddress: undefined }),
    ['validators[0].rewardAddress: is missing; give 0x and hex digits in quotes'],
  ],
  [
    'a mistyped address',
    account({ address: MISTYPED, balance: 1 }),
    [
      `accounts[0].address: has a wrong checksum (EIP-55): check each digit; these digits would be ${getAddress(MISTYPED.toLowerCase())}`,
    ],
  ],
  [
    'a short address',
    account({ address: '0x1234', balance: 1 }),
    ['accounts[0].address: must be an address: 0x and 40 hex digits'],
  ],
  [
    'an account twice, in another case',
    {
      accounts: [
        { address: ADDRESS, balance: 1 },
        { address: ADDRESS.toLowerCase(), balance: 2 },
      ],
    },
    ['accounts[1].address: repeats entry 0; remove one of the two'],
  ],
  [
    'an empty account',
    account({}),
    [
      'accounts[0]: is empty, and empty accounts do not exist (EIP-161); give a balance or remove it',
    ],
  ],
  ['a negative balance', account({ balance: -1 }), [`accounts[0].balance: ${WEI_RANGE}`]],
  ['a balance in e-notation', account({ balance: '1e18' }), [`accounts[0].balance: ${WEI_RANGE}`]],
  ['a part of a wei', account({ balance: '0.5' }), [`accounts[0].balance: ${WEI_RANGE}`]],
  [
    'a finer part of ether',
    account({ balance: '0.0000000000000000001 ether' }),
    [`accounts[0].balance: ${WEI_RANGE}`],
  ],
  [
    'a balance beyond 256 bits',
    account({ balance: (2n ** 256n).toString() }),
    [`accounts[0].balance: ${WEI_RANGE}`],
  ],
  [
    'more wei together than 256 bits',
    {
      accounts: ['01', '02'].map((last) => ({
        address: plainAddress(last),
        balance: (2n ** 255n).toString(),
      })),
    },
    ['accounts: have more wei together than 256 bits hold'],
  ],
  [
    'the nonce that must not be reached',
    account({ balance: 1, nonce: (2n ** 64n - 1n).toString() }),
    [`accounts[0].nonce: must be a whole number from 0 to ${2n ** 64n - 2n}`],
  ],
  [
    'code of half a byte',
    account({ code: '0x6' }),
    [
      'accounts[0].code: must be 0x and the hex of at most 24576 bytes of code that do not start with ef',
    ],
  ],
  [
    'code that is too long',
    account({ code: `0x${'00'.repeat(24_577)}` }),
    [
      'accounts[0].code: must be 0x and the hex of at most 24576 bytes of code that do not start with ef',
    ],
  ],
  [
    'code with the reserved start',
    account({ code: '0xef00' }),
    [
      'accounts[0].code: must be 0x and the hex of at most 24576 bytes of code that do not start with ef',
    ],
  ],
  [
    'storage without code',
    account({ balance: 1, storage: { [SLOT]: '0x01' } }),
    ['accounts[0].storage: has no code that could read it; give code or remove the storage'],
  ],
  [
    'a slot of zero',
    account({ code: '0x00', storage: { [SLOT]: '0x00' } }),
    [
      `accounts[0].storage.${SLOT}: must be 0x and up to 64 hex digits, not zero (an absent slot is zero)`,
    ],
  ],
  [
    'a short slot',
    account({ code: '0x00', storage: { '0x01': '0x01' } }),
    ['accounts[0].storage.0x01: is not a slot: the key must be 0x and 64 hex digits in quotes'],
  ],
  [
    'a slot twice, in another case',
    account({
      code: '0x00',
      storage: { [`0x${'aa'.repeat(32)}`]: '0x01', [`0x${'AA'.repeat(32)}`]: '0x02' },
    }),
    ['accounts[0].storage: repeats entry 0; remove one of the two'],
  ],
  [
    'segments that are no power of two',
    { parameters: { segmentTransactions: 48 } },
    ['parameters.segmentTransactions: must be a power of two'],
  ],
  [
    'a block without room for one transaction',
    { parameters: { blockBytesMax: 100_000 } },
    [
      'parameters.transactionBytesMax: must be at most blockBytesMax (100000), or the largest transaction fits in no block',
    ],
  ],
  [
    'a first base fee under the floor',
    { parameters: { baseFeeInitial: 6 } },
    ['parameters.baseFeeFloor: must be at most baseFeeInitial (6)'],
  ],
  [
    'a gas limit under one transfer',
    { parameters: { blockGasLimit: 20_999 } },
    [`parameters.blockGasLimit: must be a whole number from 21000 to 120000000`],
  ],
  [
    'a gas limit whose outcome might not fit into the log',
    { parameters: { blockGasLimit: 120_000_001 } },
    [`parameters.blockGasLimit: must be a whole number from 21000 to 120000000`],
  ],
  [
    'no fork',
    { parameters: { forks: [] } },
    ['parameters.forks: must have at least one fork, at height 0'],
  ],
  [
    'a first fork above 0',
    { parameters: { forks: [{ name: 'cancun', height: 1 }] } },
    ['parameters.forks[0].height: must be 0: the first fork holds from the start'],
  ],
  [
    'forks out of order',
    {
      parameters: {
        forks: [
          { name: 'prague', height: 0 },
          { name: 'cancun', height: 0 },
        ],
      },
    },
    [
      'parameters.forks[1].name: must be a later rule set than prague before it',
      'parameters.forks[1].height: must be above the height before it (0)',
    ],
  ],
  [
    'a fork that there is not',
    { parameters: { forks: [{ name: 'paris', height: 0 }] } },
    ['parameters.forks[0].name: must be cancun or prague'],
  ],
  [
    'an unknown key',
    account({ balance: 1, nonse: 4 }),
    ['accounts[0].nonse: is not a key here; did you mean nonce?'],
  ],
];

describe('a genesis is refused for', () => {
  test.each(CHANGES)('%s', (_, change, problems) => {
    const genesis = JSON.parse(JSON.stringify({ ...minimalGenesis(), ...change }));
    expect(problemsOf(() => parse(genesis))).toEqual(problems);
  });

  test('hex that YAML takes for a number, shown as it was written', () => {
    const text = stringify(minimalGenesis(), { lineWidth: 0 }).replaceAll('"', '');
    const act = () => parseGenesis(text, 'genesis.yaml');
    expect(act).toThrow(`validators[0].publicKey is ${toPrefixedHex(KEY).slice(0, 20)}`);
    expect(problemsOf(act)).toEqual([
      `validators[0].publicKey: ${HEX_NEEDED}`,
      `validators[0].rewardAddress: ${HEX_NEEDED}`,
    ]);
  });

  test('a missing file', async () => {
    await expect(loadGenesis('/nowhere/genesis.yaml')).rejects.toThrow(
      '/nowhere/genesis.yaml: there is no such file; "blockraft init" writes one',
    );
  });
});
