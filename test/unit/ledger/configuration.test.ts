import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCommit, precommitDigest, validatorAddress } from '../../../src/crypto/block.ts';
import { publicKey, sign } from '../../../src/crypto/bls.ts';
import { BlockBuilder } from '../../../src/leader/block_builder.ts';
import { encodeHeader } from '../../../src/types/block.ts';
import {
  blsSecret,
  founders,
  genesis,
  memberRecord,
  TestLedger,
  transfer,
} from './chain_fixture.ts';

let ledger: TestLedger;

beforeEach(async () => {
  ledger = await TestLedger.open();
});

afterEach(() => ledger.close());

const grown = {
  ...founders,
  learners: [{ id: 4, promotion: 'automatic', replaces: 2 } as const],
  members: [...founders.members, memberRecord(4)],
  highestId: 4,
};

/** Admits a transfer and fixes a block for it. */
async function fixBlock(): Promise<void> {
  ledger.admit(transfer(0n));
  await ledger.applyNext();
  const { head } = ledger.ledger;
  const builder = new BlockBuilder({ genesis }, { flatState: ledger.flatState });
  const selected = await builder.select(ledger.opened.mempool, head);
  const header = builder.header(
    { head, lastCommit: undefined, stateRoot: new Uint8Array(32) },
    {
      raws: selected.map(({ raw }) => raw),
      proposer: validatorAddress(publicKey(blsSecret)),
      wallMs: 1_700_000_001_000,
    },
  );
  ledger.propose({
    type: 'BlockProposed',
    header: encodeHeader(header),
    lastCommit: undefined,
    transactionHashes: selected.map(({ hash }) => hash),
    transactionsNotAdmitted: [],
  });
  await ledger.applyNext();
}

async function decideInRound(round: number): Promise<void> {
  const { undecided } = ledger.ledger.head;
  if (undecided === undefined) throw new Error('nothing to decide');
  const { height } = undecided.block.header;
  const vote = { chainId: genesis.chainId, height, round, blockId: undecided.blockId };
  const signature = sign(precommitDigest(vote), blsSecret);
  ledger.propose({ type: 'BlockDecided', commit: makeCommit({ ...vote, signature }) });
  await ledger.applyNext();
}

describe('configurations in the ledger', () => {
  it('begins with those whom the cluster was founded with', () => {
    expect(ledger.ledger.head.configuration).toEqual({ index: 0, configuration: founders });
  });

  it('scenario 57: a restart finds the configuration that was applied, with its index', async () => {
    ledger.startTerm(1);
    ledger.configure(grown);
    await ledger.applyNext();
    const { configuration } = await ledger.applyNext();
    expect(configuration).toEqual({ index: 2, configuration: grown });
    await ledger.restart();
    expect(ledger.ledger.head.configuration).toEqual({ index: 2, configuration: grown });
    expect(ledger.ledger.head.appliedIndex).toBe(2);
  });

  it('scenario 49: a joint configuration is kept as it is', async () => {
    const joint = { ...founders, voters: [1, 3], outgoing: [1, 2, 3] };
    ledger.configure(joint);
    await ledger.applyNext();
    await ledger.restart();
    expect(ledger.ledger.head.configuration).toEqual({ index: 1, configuration: joint });
  });

  it('stops at a configuration that it cannot read', async () => {
    ledger.log.push({ index: 1, term: 1, type: 'configuration', data: Uint8Array.of(1, 2) });
    await expect(ledger.applyNext()).rejects.toMatchObject({ code: 'CANNOT_APPLY' });
  });

  it('takes decisions in the round of the last recovery alone', async () => {
    await fixBlock();
    await decideInRound(1);
    expect(ledger.ledger.head.decidedHeight).toBe(0);
    ledger.configure({ ...founders, recoveries: 1 });
    await ledger.applyNext();
    await decideInRound(0);
    expect(ledger.ledger.head.decidedHeight).toBe(0);
    await decideInRound(1);
    expect(ledger.ledger.head.decidedHeight).toBe(1);
  });
});
