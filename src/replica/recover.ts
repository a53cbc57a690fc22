import { type Config, memberOf } from '../config/config.ts';
import { CONFIGURATION_KEY, FENCE_KEY, HEAD_KEY } from '../ledger/keys.ts';
import {
  type AppliedConfiguration,
  decodeAppliedConfiguration,
  decodeHead,
  type HeadRecord,
} from '../ledger/records.ts';
import type { Logger } from '../lib/environment.ts';
import { Database } from '../storage/database.ts';
import { nodeFolderFiles } from '../storage/folder_files.ts';
import { openGeneration } from '../storage/generations.ts';
import {
  type Configuration,
  decodeConfiguration,
  EMPTY_CONFIGURATION,
  encodeConfiguration,
  isVoter,
} from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';
import type { Height } from '../types/primitives.ts';
import type { Wal } from '../wal/wal.ts';
import { storedMark } from './marks.ts';
import { ReplicaError } from './replica_error.ts';
import { checkLogReaches, installSnapshot, openLog, refuseWhenRemoved } from './stores.ts';

export interface Recovered {
  /** Of the log entry with which the survivor became a cluster of its own. */
  readonly index: number;
  /** The last block that the survivor had applied as decided; what its log holds beyond comes when it starts. */
  readonly decidedHeight: Height;
  /** How often the cluster was recovered, this time included. */
  readonly recoveries: number;
}

/** Entry bytes read at once. */
const READ_BYTES = 4 * 1024 * 1024;

/**
 * Makes the stopped member, whose data folder is here, the only voter of its cluster: a majority is lost for good. What
 * its log holds counts as committed from then on. `lost` names every other voter, as the operator's word that
 * none of them ever runs again. One append makes it true or leaves everything as it was. Throws CANNOT_RECOVER when the
 * survivor does not fit, and the typed errors of a data folder that cannot be used.
 */
export async function recoverFromSurvivor(
  options: { config: Config; memberId: MemberId; lost: readonly MemberId[] },
  { logger }: { logger: Logger },
): Promise<Recovered> {
  const { config, memberId } = options;
  const { dataFolder } = memberOf(config, memberId);
  if ((await nodeFolderFiles.list(dataFolder)).length === 0)
    throw cannotRecover(`there is no data of member ${memberId} in ${dataFolder}`);
  // What it had fetched completely is as good as its log.
  await installSnapshot({ config, memberId }, logger);
  const { stateDirectory, logDirectory } = await openGeneration(dataFolder, nodeFolderFiles);
  const database = await Database.open({ directory: stateDirectory });
  try {
    await refuseWhenRemoved(memberId, database);
    const { head, applied } = await readState(memberId, database);
    const wal = await openLog({ logDirectory, memberId, config, logger }, database);
    try {
      checkLogReaches(wal, head);
      const next = survivorAlone(configurationInForce(wal, applied), options);
      const index = await appendConfiguration(wal, next, memberId);
      return { index, decidedHeight: head.decidedHeight, recoveries: next.recoveries };
    } finally {
      await wal.close();
    }
  } finally {
    await database.close();
  }
}

async function readState(
  memberId: MemberId,
  database: Database,
): Promise<{ head: HeadRecord; applied: AppliedConfiguration }> {
  const [head, configuration] = await database.getMany([HEAD_KEY, CONFIGURATION_KEY]);
  if (head === undefined || configuration === undefined)
    throw cannotRecover(`member ${memberId} never took part in a cluster`);
  const fence = await storedMark(FENCE_KEY, database);
  if (fence !== undefined)
    throw cannotRecover(`the state of member ${memberId} is wrong, so it fenced itself: ${fence}`);
  return { head: decodeHead(head), applied: decodeAppliedConfiguration(configuration) };
}

/** The last one in the log: everything there counts as committed. */
function configurationInForce(wal: Wal, applied: AppliedConfiguration): Configuration {
  let { configuration } = applied;
  let next = Math.max(wal.firstIndex, applied.index + 1);
  while (next <= wal.lastIndex)
    for (const entry of wal.entries(next, wal.lastIndex, READ_BYTES)) {
      if (entry.type === 'configuration') configuration = decodeConfiguration(entry.data);
      next = entry.index + 1;
    }
  return configuration;
}

function survivorAlone(
  before: Configuration,
  { memberId, lost }: { memberId: MemberId; lost: readonly MemberId[] },
): Configuration {
  const record = before.members.find(({ id }) => id === memberId);
  if (record === undefined || !isVoter(before, memberId))
    throw cannotRecover(
      `member ${memberId} does not vote, so its log may lack what was acknowledged; recover from a voter`,
    );
  const others = [...new Set([...before.voters, ...before.outgoing])].filter(
    (id) => id !== memberId,
  );
  if (others.length === 0)
    throw cannotRecover(`member ${memberId} is the only voter already; start it`);
  const unnamed = others.filter((id) => !lost.includes(id));
  if (unnamed.length > 0)
    throw cannotRecover(
      `${unnamed.join(' and ')} may still vote: name every other voter with --lost, ${others.join(',')} here, once it is destroyed`,
    );
  const strangers = lost.filter((id) => !others.includes(id));
  if (strangers.length > 0)
    throw cannotRecover(
      `${strangers.join(' and ')} does not vote; the other voters are ${others.join(',')}`,
    );
  return {
    ...EMPTY_CONFIGURATION,
    voters: [memberId],
    members: [record],
    highestId: before.highestId,
    recoveries: before.recoveries + 1,
  };
}

/** The survivor votes for itself in a new term and writes this as its leader. */
async function appendConfiguration(
  wal: Wal,
  configuration: Configuration,
  memberId: MemberId,
): Promise<number> {
  const index = wal.lastIndex + 1;
  const term = wal.hardState.term + 1;
  const data = encodeConfiguration(configuration);
  await wal.append({
    hardState: { term, vote: memberId },
    entries: [{ index, term, type: 'configuration', data }],
  });
  return index;
}

function cannotRecover(why: string): ReplicaError {
  return new ReplicaError('CANNOT_RECOVER', `nothing was changed: ${why}`);
}
