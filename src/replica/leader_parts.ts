import { Admission } from '../leader/admission.ts';
import { BlockBuilder } from '../leader/block_builder.ts';
import { BlockProducer } from '../leader/block_producer.ts';
import type { RootAgreement } from '../leader/root_agreement.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Clock, Logger } from '../lib/environment.ts';
import type { Leadership, ProposalAccepted, ProposalRefusal } from '../raft/ready.ts';
import type { Command } from '../types/command.ts';
import type { MemberOptions, MemberParts } from './member_parts.ts';

interface LeaderDependencies {
  readonly ledger: Ledger;
  readonly parts: MemberParts;
  readonly roots: RootAgreement;
  readonly propose: (command: Command) => ProposalAccepted | ProposalRefusal;
  readonly leadership: () => Leadership;
  /** Resolves once everything that was committed before the call is applied here. */
  readonly catchUp: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

/** Where the transactions of a leader come in. */
export function makeAdmission(
  { config, genesis }: MemberOptions,
  { ledger, parts, propose, leadership, catchUp, clock }: LeaderDependencies,
): Admission {
  const { batchTransactionsMax, batchDelayMsMax } = config.admission;
  const { mempool, chain } = parts.ledger;
  return new Admission(
    { genesis, batchTransactionsMax, batchDelayMsMax, lifetimeMs: config.mempool.lifetimeMs },
    {
      recovery: parts.recovery,
      mempool,
      chain,
      flatState: parts.flatState,
      clock,
      propose,
      nextHeight: () => ledger.head.decidedHeight + 1,
      chainTimeMs: () => ledger.head.decided.block.header.timestampMs,
      isCaughtUp: () => {
        const { role, term } = leadership();
        return role === 'leader' && ledger.head.appliedTerm === term;
      },
      catchUp,
    },
  );
}

/** What makes a leader's blocks. */
export function makeProducer(
  { config, genesis, secretKey }: MemberOptions,
  { ledger, parts, roots, propose, clock, logger, onFatal }: LeaderDependencies,
): BlockProducer {
  const { flatState, executor } = parts;
  const { mempool, chain } = parts.ledger;
  return new BlockProducer(
    { genesis, secretKey, intervalMs: config.blocks.intervalMs },
    {
      ledger,
      mempool,
      chain,
      builder: new BlockBuilder({ genesis }, { flatState }),
      roots,
      executor,
      propose,
      clock,
      logger,
      onFatal,
    },
  );
}
