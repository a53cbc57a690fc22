import { describe, expect, it } from 'vitest';
import {
  type Commit,
  decodeBlock,
  decodeCommit,
  decodeHeader,
  encodeBlock,
  encodeCommit,
  encodeHeader,
  type Header,
  votePayload,
} from '../../../src/types/block.ts';
import {
  COMMAND_VERSION,
  type Command,
  decodeCommand,
  encodeCommand,
} from '../../../src/types/command.ts';
import { decodeOutcome, encodeOutcome, type Outcome } from '../../../src/types/outcome.ts';
import { CodecError, decodeRlp, encodeRlp, scalar } from '../../../src/types/rlp.ts';

const bytes = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

const header: Header = {
  chainId: 1337n,
  height: 7,
  timestampMs: 1_700_000_000_123,
  parentId: bytes(32, 1),
  proposer: bytes(20, 2),
  validatorsHash: bytes(32, 3),
  nextValidatorsHash: bytes(32, 3),
  consensusParametersHash: bytes(32, 4),
  transactionsRoot: bytes(32, 5),
  lastCommitHash: bytes(32, 6),
  evidenceHash: bytes(32, 7),
  gasUsed: 21_000n,
  receiptsRoot: bytes(32, 8),
  logsBloom: bytes(256, 0),
  stateRoot: bytes(32, 9),
  baseFeePerGas: 1_000_000_000n,
  gasLimit: 30_000_000n,
  extraData: bytes(0, 0),
};

const commit: Commit = {
  height: 7,
  round: 0,
  blockId: bytes(32, 1),
  signers: Uint8Array.of(1),
  signature: bytes(96, 2),
};

const outcome: Outcome = {
  height: 7,
  blockId: bytes(32, 1),
  delta: {
    accounts: [
      {
        address: bytes(20, 1),
        account: { nonce: 1n, balance: 2n, codeHash: bytes(32, 3) },
        slots: [{ slot: bytes(32, 4), value: Uint8Array.of(5) }],
      },
      { address: bytes(20, 2), account: null, slots: [] },
    ],
    codes: [{ codeHash: bytes(32, 6), code: Uint8Array.of(0x60, 0) }],
  },
  receipts: [
    {
      type: 2,
      succeeded: true,
      cumulativeGasUsed: 21_000n,
      logsBloom: bytes(256, 0),
      logs: [{ address: bytes(20, 1), topics: [bytes(32, 2)], data: Uint8Array.of(3) }],
    },
    { type: 0, succeeded: false, cumulativeGasUsed: 50_000n, logsBloom: bytes(256, 0), logs: [] },
  ],
  gasUsed: 50_000n,
  receiptsRoot: bytes(32, 8),
  logsBloom: bytes(256, 0),
};

const commands: Command[] = [
  {
    type: 'AdmitTransactions',
    expiresAtMs: 123,
    transactions: [{ raw: Uint8Array.of(1, 2), sender: bytes(20, 3) }],
  },
  {
    type: 'BlockProposed',
    header: encodeHeader(header),
    lastCommit: commit,
    transactionHashes: [bytes(32, 1)],
    transactionsNotAdmitted: [],
  },
  {
    type: 'BlockProposed',
    header: encodeHeader(header),
    lastCommit: undefined,
    transactionHashes: [],
    transactionsNotAdmitted: [{ raw: Uint8Array.of(9), sender: bytes(20, 1) }],
  },
  { type: 'BlockDecided', commit },
  { type: 'BlockOutcome', outcome: encodeOutcome(outcome) },
];

describe('canonical codecs', () => {
  it('give back what they were given', () => {
    expect(decodeHeader(encodeHeader(header))).toEqual(header);
    expect(decodeCommit(encodeCommit(commit))).toEqual(commit);
    expect(decodeOutcome(encodeOutcome(outcome))).toEqual(outcome);
    const block = { header, transactions: [Uint8Array.of(1)], lastCommit: commit };
    expect(decodeBlock(encodeBlock(block))).toEqual(block);
    for (const command of commands) {
      const envelope = { clusterId: 'local-3', term: 4, command };
      expect(decodeCommand(encodeCommand(envelope))).toEqual(envelope);
    }
  });

  it('refuse every truncation of a header, and any byte behind it', () => {
    const encoded = encodeHeader(header);
    for (let length = 0; length < encoded.length; length += 1)
      expect(() => decodeHeader(encoded.subarray(0, length))).toThrow(CodecError);
    expect(() => decodeHeader(Uint8Array.from([...encoded, 0]))).toThrow(CodecError);
  });

  it('refuse a command of another version or type, and say to upgrade', () => {
    const [command] = commands;
    const items = decodeRlp(
      encodeCommand({ clusterId: 'c', term: 1, command: command as Command }),
    ) as Uint8Array[];
    const newer = items.with(1, scalar(COMMAND_VERSION + 1));
    expect(() => decodeCommand(encodeRlp(newer))).toThrow(/upgrade this member/);
    expect(() => decodeCommand(encodeRlp(items.with(0, scalar(99))))).toThrow(/upgrade/);
  });

  it('keep votes of different kinds, chains, rounds and heights apart', () => {
    const base = { chainId: 1n, height: 1, round: 0, blockId: bytes(32, 1) };
    const payloads = [
      votePayload({ ...base, step: 'prevote' }),
      votePayload({ ...base, step: 'precommit' }),
      votePayload({ ...base, step: 'propose', polRound: -1 }),
      votePayload({ ...base, step: 'propose', polRound: 0 }),
      votePayload({ ...base, step: 'precommit', blockId: undefined }),
      votePayload({ ...base, step: 'precommit', chainId: 2n }),
      votePayload({ ...base, step: 'precommit', height: 2 }),
      votePayload({ ...base, step: 'precommit', round: 1 }),
    ];
    expect(new Set(payloads.map((payload) => Buffer.from(payload).toString('hex'))).size).toBe(8);
  });
});
