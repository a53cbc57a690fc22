import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import type { AdminClient, Patience } from '../lab/admin_client.ts';
import type { MembersMessage } from '../lab/admin_service.ts';
import { systemClock } from '../lib/environment.ts';
import { CONFIG_DEFAULT, cliErrorFrom } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { onStopSignal } from './stop_signal.ts';
import { wholeNumber } from './workload_flags.ts';

/** What every command of operators takes. */
export interface AdminFlags {
  readonly config: string;
  /** Seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

export interface AdminAccess {
  readonly config: Config;
  readonly client: AdminClient;
  readonly patience: Patience;
}

const TIMEOUT_S_DEFAULT = 60;

/** Adds `--config`, `--timeout` and `--json`. */
export function withAdminFlags(command: Command, timeoutSeconds = TIMEOUT_S_DEFAULT): Command {
  return command
    .option('-c, --config <file>', 'cluster file', CONFIG_DEFAULT)
    .option('--timeout <seconds>', 'how long to try, and to wait', wholeNumber, timeoutSeconds)
    .option('--json', 'print one JSON object');
}

/** Runs a task with a client of the service Admin, as an operator; its errors become exit codes. */
export async function withAdmin<Result>(
  flags: AdminFlags,
  task: (access: AdminAccess) => Promise<Result>,
): Promise<Result> {
  const { loadConfig } = await import('../config/load_config.ts');
  const { AdminClient } = await import('../lab/admin_client.ts');
  const { adminEndpoints, operatorCredentials } = await import('../lab/credentials.ts');
  const config = await loadConfig({ file: flags.config, environment: process.env });
  const addresses = adminEndpoints(config).map(({ address }) => address);
  const client = new AdminClient(
    { addresses, credentials: operatorCredentials(config) },
    systemClock,
  );
  const interrupted = new AbortController();
  const undo = onStopSignal(() =>
    interrupted.abort(
      new CliError('failure', 'interrupted; the cluster goes on with what it was asked for'),
    ),
  );
  const patience = { timeoutMs: flags.timeout * 1_000, signal: interrupted.signal };
  try {
    return await task({ config, client, patience });
  } catch (thrown) {
    throw cliErrorFrom(thrown);
  } finally {
    undo();
    client.close();
  }
}

/** The cluster as its leader sees it. Throws a CliError when another cluster answers. */
export async function lookAt({ client, config }: AdminAccess): Promise<MembersMessage> {
  const view = await client.members();
  if (view.clusterId === config.clusterId) return view;
  throw new CliError(
    'failure',
    `cluster ${view.clusterId} answers where ${config.file} has ${config.clusterId}; check the addresses`,
  );
}

/** The id of a member on the command line. Throws a CliError. */
export function memberId(text: string): number {
  const id = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (id >= 1 && id <= 65_535) return id;
  throw new CliError('usage', `${text} is no id of a member: give a whole number from 1 to 65535`);
}
