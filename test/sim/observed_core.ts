import type { Random } from '../../src/lib/environment.ts';
import type { LogReader, RaftOptions } from '../../src/raft/options.ts';
import type { Raft } from '../../src/raft/raft.ts';
import type { RaftState } from '../../src/raft/state.ts';
import type { Checker, CoreView } from './checker.ts';
import type { MemberFacts } from './member_facts.ts';

export type CoreClass = typeof Raft;

export interface CoreDependencies {
  readonly log: LogReader;
  readonly random: Random;
}

/** A core whose every change of log and commit index is seen by the checker before anybody else. */
export interface ObservedCore extends Raft {
  /** What only the simulator may look at. */
  readonly inside: RaftState;
  /** Shows the checker the core as it is after a step. */
  look(): void;
}

/** Makes the core, the real one or one with a deliberate defect, under the checker's eyes. */
export function observedCore(
  Core: CoreClass,
  options: RaftOptions,
  dependencies: CoreDependencies & { checker: Checker; facts: MemberFacts },
): ObservedCore {
  const { checker, facts, ...rest } = dependencies;
  const Observed = class extends Core {
    constructor() {
      super(options, rest);
      const { log } = this.state;
      const append = log.append.bind(log);
      log.append = (entries) => {
        checker.appended(facts, entries, this.state.isLeader);
        append(entries);
      };
      const commitTo = this.state.commitTo.bind(this.state);
      this.state.commitTo = (index) => {
        if (index > facts.commit) checker.commits(facts, { ...this.view(), commit: index });
        commitTo(index);
      };
    }

    get inside(): RaftState {
      return this.state;
    }

    look(): void {
      checker.observe(facts, this.view());
    }

    view(): CoreView {
      const { term, commit, isLeader: leads } = this.state;
      const { index, configuration } = this.state.configurations.inForce;
      const { voters, outgoing } = configuration;
      return { term, commit, leads, electorate: { index, voters, outgoing } };
    }
  };
  return new Observed();
}
