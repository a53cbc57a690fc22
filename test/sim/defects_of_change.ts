import type { Clock, Random } from '../../src/lib/environment.ts';
import { ConfigurationLog } from '../../src/raft/configuration_log.ts';
import { finalConfiguration, nextConfiguration } from '../../src/raft/membership.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { LogReader, RaftOptions } from '../../src/raft/options.ts';
import { Raft } from '../../src/raft/raft.ts';
import type {
  ConfigurationChange,
  ConfigurationRefusal,
  PersistToken,
  ProposalAccepted,
} from '../../src/raft/ready.ts';
import { appendConfiguration } from '../../src/raft/roles.ts';
import type { Configuration } from '../../src/types/configuration.ts';
import type { KnownDefect } from './defects.ts';
import { THEMES } from './faults.ts';

/* Defects of membership, snapshots, compaction and leases. */

interface CoreDependencies {
  readonly log: LogReader;
  readonly random: Random;
}

/** Counts votes and acknowledgements by another configuration than the one in force. */
abstract class MiscountingRaft extends Raft {
  #counting = false;

  constructor(options: RaftOptions, dependencies: CoreDependencies) {
    super(options, dependencies);
    const { state } = this;
    Object.defineProperty(state, 'configuration', {
      get: () => {
        const { configuration } = state.configurations.inForce;
        return this.#counting ? this.miscount(configuration) : configuration;
      },
    });
  }

  protected abstract miscount(configuration: Configuration): Configuration;

  override step(message: Message): void {
    this.#counting = true;
    super.step(message);
    this.#counting = false;
  }

  override persisted(token: PersistToken): void {
    this.#counting = true;
    super.persisted(token);
    this.#counting = false;
  }
}

/** While the configuration is joint, a majority of the new voters is enough. */
class NewVotersOnlyRaft extends MiscountingRaft {
  protected override miscount(configuration: Configuration): Configuration {
    return { ...configuration, outgoing: [] };
  }
}

/** Learners are counted as voters. */
class CountedLearnersRaft extends MiscountingRaft {
  protected override miscount(configuration: Configuration): Configuration {
    const { voters, learners } = configuration;
    return { ...configuration, voters: [...voters, ...learners.map(({ id }) => id)] };
  }
}

/** A leader that its own change removes goes on counting itself. */
class CountedLeaderRaft extends MiscountingRaft {
  protected override miscount(configuration: Configuration): Configuration {
    const { voters } = configuration;
    const { id, isLeader } = this.state;
    if (!isLeader || voters.includes(id)) return configuration;
    return { ...configuration, voters: [...voters.slice(1), id] };
  }
}

/** A second change begins while the first is not through. */
class ImpatientRaft extends Raft {
  override changeConfiguration(
    change: ConfigurationChange,
  ): ProposalAccepted | ConfigurationRefusal {
    const { state } = this;
    const { leader } = state;
    if (!state.isLeader) return { refused: 'not-leader', leader };
    const next = nextConfiguration({ ...state.configuration, outgoing: [] }, change);
    if (typeof next === 'string') return { refused: next, leader };
    appendConfiguration(state, next);
    return { index: state.log.lastIndex, term: state.term };
  }
}

/** Voters change in one step, also before the leader has committed in its term: Ongaro's bug of 2015. */
class OneStepRaft extends Raft {
  override changeConfiguration(
    change: ConfigurationChange,
  ): ProposalAccepted | ConfigurationRefusal {
    const { state } = this;
    const { leader } = state;
    const { index, configuration } = state.configurations.inForce;
    if (!state.isLeader) return { refused: 'not-leader', leader };
    if (index > state.commit) return { refused: 'change-pending', leader };
    const next = nextConfiguration(configuration, change);
    if (typeof next === 'string') return { refused: next, leader };
    appendConfiguration(state, finalConfiguration(next));
    return { index: state.log.lastIndex, term: state.term };
  }
}

/** A restart knows only the configuration that was applied. */
class ForgetfulRaft extends Raft {
  constructor(options: RaftOptions, dependencies: CoreDependencies) {
    super(options, dependencies);
    Object.defineProperty(this.state, 'configurations', {
      value: new ConfigurationLog(options.configuration),
    });
  }
}

/** A configuration that was truncated stays in force. */
class StubbornRaft extends Raft {
  constructor(options: RaftOptions, dependencies: CoreDependencies) {
    super(options, dependencies);
    const { configurations } = this.state;
    const append = configurations.append.bind(configurations);
    configurations.append = (entries) => {
      const kept = entries.filter(({ type }) => type === 'configuration');
      append(kept);
    };
  }
}

/** Whatever snapshot arrives replaces the log. */
class EagerInstallRaft extends Raft {
  override acceptSnapshot(): 'install' | 'notNeeded' {
    return 'install';
  }
}

/** The lease is longer than others hold their votes. */
class LongLeaseRaft extends Raft {
  constructor(options: RaftOptions, dependencies: CoreDependencies) {
    const { leaseReads } = options;
    super(
      { ...options, leaseReads: leaseReads && { durationMs: 5 * leaseReads.durationMs } },
      dependencies,
    );
  }
}

/** Handing over leaves the lease in force. */
class LeaseBeyondTransferRaft extends Raft {
  constructor(options: RaftOptions, dependencies: CoreDependencies) {
    super(options, dependencies);
    const { lease } = this.state;
    if (lease !== undefined) lease.end = () => undefined;
  }

  override readIndex(requestId: number): void {
    const { state } = this;
    const { transfer } = state;
    state.transfer = undefined;
    super.readIndex(requestId);
    state.transfer = transfer;
  }
}

/** The wall clock is taken for the monotonic one. */
function onWallClock(clock: Clock): Clock {
  return { ...clock, monotonicMs: () => clock.wallMs() };
}

/** Many readers, some of which go on asking a leader that was. */
const READERS = {
  leases: true,
  clients: 6,
  thinkMeanMs: 3,
  readRate: 0.5,
  leaderRate: 0.5,
  faithfulRate: 0.8,
  faultMeanMs: 200,
} as const;
/** Even clusters whose operator never rests. */
const RESTLESS = { changes: true, changeMeanMs: 15, size: 4 } as const;

export const DEFECTS_OF_CHANGE: readonly KnownDefect[] = [
  {
    name: 'a joint configuration counts the new voters alone (scenario 61)',
    defect: { core: NewVotersOnlyRaft },
    seeds: 20,
    wishes: { changes: true },
  },
  {
    name: 'learners are counted as voters (scenario 13)',
    defect: { core: CountedLearnersRaft },
    seeds: 20,
    wishes: { changes: true },
  },
  {
    name: 'a removed leader counts itself (scenario 58)',
    defect: { core: CountedLeaderRaft },
    seeds: 70,
    wishes: { changes: true },
  },
  {
    name: 'a change begins while another is pending (scenario 55)',
    defect: { core: ImpatientRaft },
    seeds: 100,
    wishes: { ...RESTLESS, churn: true },
  },
  {
    name: 'voters change in one step before a commit in the term (scenario 54)',
    defect: { core: OneStepRaft },
    seeds: 600,
    wishes: { ...RESTLESS, faults: ['isolateLeader'], faultMeanMs: 60 },
  },
  {
    name: 'a restart forgets the uncommitted configuration (scenario 57)',
    defect: { core: ForgetfulRaft },
    seeds: 20,
    wishes: { changes: true },
  },
  {
    name: 'a truncated configuration stays in force (scenario 56)',
    defect: { core: StubbornRaft },
    seeds: 20,
    wishes: { changes: true },
  },
  {
    name: 'a snapshot replaces acknowledged entries (scenario 45)',
    defect: { core: EagerInstallRaft },
    seeds: 250,
    wishes: { changes: true },
  },
  {
    name: 'the log is compacted above what was applied (scenario 48)',
    defect: { compactTo: (_, process) => process.core?.inside.log.stableIndex ?? 0 },
    seeds: 20,
  },
  {
    name: 'installing a snapshot forgets the vote',
    defect: { carry: ({ term }) => ({ term, vote: undefined }) },
    seeds: 50,
    wishes: { changes: true },
  },
  {
    name: 'a lease counts on the wall clock (scenario 39)',
    defect: { clock: onWallClock },
    seeds: 150,
    wishes: { ...READERS, faults: THEMES.pauses },
  },
  {
    name: 'a lease outlasts the votes that it rests on (scenario 38)',
    defect: { core: LongLeaseRaft },
    seeds: 200,
    wishes: { ...READERS, faults: THEMES.pauses },
  },
  {
    name: 'a lease outlasts a transfer (scenario 41)',
    defect: { core: LeaseBeyondTransferRaft },
    seeds: 250,
    wishes: { ...READERS, faults: THEMES.transfers },
  },
];
