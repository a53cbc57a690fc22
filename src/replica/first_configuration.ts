import { type Config, memberOf, recordOf } from '../config/config.ts';
import {
  type Configuration,
  EMPTY_CONFIGURATION,
  initialConfiguration,
} from '../types/configuration.ts';
import type { MemberId } from '../types/entry.ts';

/**
 * What a member with a new data folder begins with: one that joins knows of no cluster until its leader speaks to
 * it; the others found the cluster together. Later the log says who belongs to it, whatever the file says.
 */
export function firstConfiguration(config: Config, memberId: MemberId): Configuration {
  if (memberOf(config, memberId).joins) return EMPTY_CONFIGURATION;
  return initialConfiguration(config.members.filter(({ joins }) => !joins).map(recordOf));
}
