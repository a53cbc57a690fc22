import { MemberTransport } from '../cluster/member_transport.ts';
import { memberOf, tlsFiles } from '../config/config.ts';
import type { Clock, Logger, Random } from '../lib/environment.ts';
import type { MemberId } from '../types/entry.ts';
import type { Hash } from '../types/primitives.ts';
import type { MemberOptions } from './member_parts.ts';

/** The connections of a member, which has no peers before `setPeers`. */
export function makeTransport(
  { config, memberId }: MemberOptions,
  dependencies: {
    clock: Clock;
    random: Random;
    logger: Logger;
    genesisHash: Hash;
    configurationIndex: (refused: MemberId) => number;
  },
): MemberTransport {
  const { clock, random, logger, genesisHash, configurationIndex } = dependencies;
  const { host, ports } = memberOf(config, memberId);
  return new MemberTransport(
    {
      self: memberId,
      clusterId: config.clusterId,
      genesisHash,
      listen: { host, port: ports.peer },
      peers: [],
      tls: tlsFiles(config, `member-${memberId}`),
    },
    { clock, random, logger, configurationIndex },
  );
}
