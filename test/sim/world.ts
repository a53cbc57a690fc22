import type { DurableLog } from '../../src/driver/raft_driver.ts';
import type { TraceSink } from '../../src/driver/trace.ts';
import type { Clock } from '../../src/lib/environment.ts';
import type { Message } from '../../src/raft/messages.ts';
import type { Configuration } from '../../src/types/configuration.ts';
import type { HardState, MemberId } from '../../src/types/entry.ts';
import type { Checker } from './checker.ts';
import type { EventQueue } from './event_queue.ts';
import type { ClientHistory } from './history.ts';
import type { Machine } from './machine.ts';
import type { SimNetwork } from './network.ts';
import type { CoreClass } from './observed_core.ts';
import type { SimProcess } from './process.ts';
import type { Dice } from './random.ts';
import type { Settings } from './settings.ts';

/** What the parts of a simulation share. */
export interface World {
  readonly settings: Settings;
  readonly events: EventQueue;
  readonly dice: Dice;
  readonly checker: Checker;
  readonly network: SimNetwork;
  readonly history: ClientHistory;
  /** Every machine that still exists, switched on or not. */
  readonly machines: Map<MemberId, Machine>;
  readonly defect: Defect;
  /** The configuration that the cluster starts with. */
  readonly initial: Configuration;
  /** Tells a person who replays a seed; the line is only made when somebody reads it. */
  readonly trace: (line: () => string) => void;
  /** Where the protocol's events of a member are written down, if anywhere. */
  readonly protocolTrace: ((member: MemberId) => TraceSink) | undefined;
  /** Ends the simulation. */
  readonly fail: (thrown: unknown) => void;
  /** This process did something: it is looked at when the event is over. */
  readonly touch: (process: SimProcess) => void;
}

/** What is wrong with all members of a simulation; nothing in the real thing. */
export interface Defect {
  readonly core?: CoreClass;
  /** Between the driver, which the checker watches, and the write-ahead log. */
  readonly log?: (log: DurableLog, process: SimProcess) => DurableLog;
  readonly clock?: (clock: Clock) => Clock;
  /** What a member says instead of a message. */
  readonly say?: (message: Message, process: SimProcess) => Message;
  /** Term and vote that a member keeps when it installs a snapshot. */
  readonly carry?: (hardState: HardState) => HardState;
  /** Index up to which the log is compacted instead of the one given. */
  readonly compactTo?: (index: number, process: SimProcess) => number;
}
