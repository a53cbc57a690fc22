import type { ChannelCredentials } from '@grpc/grpc-js';
import { type Command, Option } from 'commander';
import type { NodeClient } from '../lab/client.ts';
import type { ClientError } from '../lab/client_error.ts';
import type { MemberEndpoint } from '../lab/processes.ts';
import { systemClock } from '../lib/environment.ts';
import { CliError, type ExitReason } from './exit_codes.ts';

/** Which cluster a command talks to. */
export interface ClusterFlags {
  readonly config?: string;
  readonly address?: readonly string[];
}

export const CONFIG_DEFAULT = 'cluster/cluster.yaml';

/** How to reach a cluster. */
export interface ClusterAccess {
  /** Ascending by id; ids count from 1 where only addresses are known. */
  readonly members: readonly MemberEndpoint[];
  readonly credentials: ChannelCredentials;
}

/** Adds `--config` and `--address`. */
export function withClusterFlags(command: Command): Command {
  return command
    .addOption(new Option('-c, --config <file>', `cluster file (default: ${CONFIG_DEFAULT})`))
    .option(
      '-a, --address <host:port...>',
      'API addresses of members instead of those of the cluster file (plaintext without --config)',
    );
}

export async function clusterAccess(flags: ClusterFlags): Promise<ClusterAccess> {
  const { apiEndpoints, clientCredentials } = await import('../lab/credentials.ts');
  const addresses = flags.address?.map((address, index) => ({
    id: index + 1,
    address: requireHostAndPort(address),
  }));
  if (addresses !== undefined && flags.config === undefined) {
    const { credentials } = await import('@grpc/grpc-js');
    return { members: addresses, credentials: credentials.createInsecure() };
  }
  const { loadConfig } = await import('../config/load_config.ts');
  const file = flags.config ?? CONFIG_DEFAULT;
  const config = await loadConfig({ file, environment: process.env });
  return { members: addresses ?? apiEndpoints(config), credentials: clientCredentials(config) };
}

function requireHostAndPort(address: string): string {
  if (/^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):[0-9]{1,5}$/.test(address)) return address;
  throw new CliError('usage', `--address ${address} must be HOST:PORT, or [IPV6]:PORT`);
}

/** Runs a task with a client of the cluster; its errors become exit codes. */
export async function withClient<Result>(
  flags: ClusterFlags,
  task: (client: NodeClient) => Promise<Result>,
): Promise<Result> {
  const { NodeClient } = await import('../lab/client.ts');
  const { members, credentials } = await clusterAccess(flags);
  const addresses = members.map(({ address }) => address);
  const client = new NodeClient({ addresses, credentials }, systemClock);
  try {
    return await task(client);
  } catch (thrown) {
    throw cliErrorFrom(thrown);
  } finally {
    client.close();
  }
}

const EXIT_REASONS: Record<ClientError['code'], ExitReason> = {
  REFUSED: 'refused',
  OUTCOME_UNKNOWN: 'outcomeUnknown',
  UNREACHABLE: 'unreachable',
  CLOSED: 'failure',
};

/** A client's error with the exit code that it means; anything else as it is. */
export function cliErrorFrom(thrown: unknown): unknown {
  if (!isClientError(thrown)) return thrown;
  const reason = thrown.reason === '' ? '' : ` [${thrown.reason}]`;
  const hint =
    thrown.code === 'UNREACHABLE'
      ? '; "blockraft status" shows who runs and whether one leads'
      : '';
  return new CliError(EXIT_REASONS[thrown.code], `${thrown.message}${reason}${hint}`, {
    cause: thrown,
  });
}

/** By name, so that a command that needs no client does not load one. */
function isClientError(thrown: unknown): thrown is ClientError {
  return thrown instanceof Error && thrown.name === 'ClientError';
}

/** One JSON object on stdout; numbers beyond 2^53 as text. */
export function printJson(value: object): void {
  const text = JSON.stringify(
    value,
    (_, part) => (typeof part === 'bigint' ? part.toString() : part),
    2,
  );
  console.log(text);
}
