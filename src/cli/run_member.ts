import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { pino } from 'pino';
import packageJson from '../../package.json' with { type: 'json' };
import { AdminServer } from '../api/admin_server.ts';
import { ApiServer } from '../api/api_server.ts';
import {
  type Config,
  type Environment,
  memberOf,
  tlsFiles,
  validatorKeyFile,
} from '../config/config.ts';
import { loadCluster } from '../config/load_cluster.ts';
import { publicKey } from '../crypto/bls.ts';
import type { TraceSink } from '../driver/trace.ts';
import { bytesEqual, fromHex } from '../lib/bytes.ts';
import { type Logger, systemClock } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { HostedService } from '../replica/hosted_service.ts';
import { MemberHost } from '../replica/member_host.ts';
import type { Genesis } from '../types/genesis.ts';
import { CliError, EXIT } from './exit_codes.ts';
import { onStopSignal } from './stop_signal.ts';
import { openTraceFile } from './trace_file.ts';

const RANDOM_STEPS = 2 ** 47;

export interface RunMemberOptions {
  readonly config: string;
  readonly id: number;
  readonly exitWithParent?: boolean;
  /** File to which the events of the Raft protocol are appended. */
  readonly trace?: string;
  readonly environment: Environment;
}

/** Runs a member until it is told to stop, or the cluster removed it; one that fails ends the process at once. */
export async function runMember(options: RunMemberOptions): Promise<void> {
  const { id, environment } = options;
  const { config, genesis } = await loadCluster({
    file: options.config,
    environment,
    memberId: id,
  });
  // The library's own lines on stderr repeat what our errors and log say.
  setLogVerbosity(logVerbosity.NONE);
  const secretKey = await readValidatorKey(config, genesis);
  const logger = pino({ level: config.logging.level, base: { member: id, pid: process.pid } });
  const stopped = Promise.withResolvers<void>();
  // Listened to from the start, so that a stop during a long start is heard.
  onStopSignal(() => stopped.resolve());
  if (options.exitWithParent) stopWithParent(stopped.resolve);
  const trace = options.trace === undefined ? undefined : openTraceFile(options.trace);
  const onRemoved = (reason: string): void => {
    process.stderr.write(`blockraft: ${reason}; it stops and does not start again\n`);
    stopped.resolve();
  };
  const running = await start({ config, genesis, id, secretKey, logger, trace, onRemoved });
  await stopped.promise;
  logger.info({}, 'stopping');
  await running.stop();
  logger.info({}, 'stopped');
  process.exit(EXIT.ok);
}

async function start(options: {
  config: Config;
  genesis: Genesis;
  id: number;
  secretKey: Uint8Array;
  logger: Logger;
  trace: TraceSink | undefined;
  onRemoved: (reason: string) => void;
}): Promise<{ stop(): Promise<void> }> {
  const { config, genesis, id, secretKey, logger, trace, onRemoved } = options;
  const clock = systemClock;
  const random = () => randomInt(RANDOM_STEPS) / RANDOM_STEPS;
  const host = await MemberHost.start(
    { config, genesis, memberId: id, secretKey, version: packageJson.version },
    { clock, random, logger, onFatal: die, onRemoved, trace },
  );
  const backend = new HostedService(host);
  const closers = [() => host.stop()];
  const stop = async () => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  };
  try {
    for (const server of makeServers({ config, id }, { backend, logger, clock })) {
      await server.start();
      closers.push(() => server.stop());
    }
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { stop };
}

function makeServers(
  { config, id }: { config: Config; id: number },
  dependencies: { backend: HostedService; logger: Logger; clock: typeof systemClock },
): readonly { start(): Promise<unknown>; stop(): Promise<void> }[] {
  const { host, ports } = memberOf(config, id);
  const tls = tlsFiles(config, `member-${id}`);
  const { messageBytesMax, streamsMax, pageSizeMax } = config.api;
  return [
    new ApiServer(
      {
        listen: { host, port: ports.api },
        security:
          config.api.security === 'plaintext'
            ? { kind: 'plaintext' }
            : { kind: 'mutual-tls', ...tls },
        limits: { messageBytesMax, streamsMax, pageSizeMax },
      },
      dependencies,
    ),
    new AdminServer(
      { listen: { host, port: ports.admin }, tls, clusterId: config.clusterId },
      dependencies,
    ),
  ];
}

/** Whatever was acknowledged is durable; going on could only make it worse. */
function die(thrown: unknown): void {
  process.stderr.write(`blockraft: the member must stop: ${errorText(thrown)}\n`);
  process.exit(EXIT.failure);
}

function stopWithParent(stop: () => void): void {
  process.stdin.on('end', stop);
  process.stdin.on('error', stop);
  process.stdin.resume();
}

async function readValidatorKey(config: Config, genesis: Genesis): Promise<Uint8Array> {
  const file = validatorKeyFile(config);
  const text = await readFile(file, 'utf8').catch((thrown) => {
    throw new CliError('usage', `cannot read the validator's key: ${errorText(thrown)}`);
  });
  const secretKey = fromHex(text.trim());
  if (secretKey === undefined || secretKey.length !== 32)
    throw new CliError('usage', `${file} must hold 64 hex digits, the validator's BLS key`);
  const [validator] = genesis.validators;
  if (validator === undefined || !bytesEqual(publicKey(secretKey), validator.publicKey))
    throw new CliError(
      'usage',
      `${file} is not the key of the validator in ${config.genesisFile}; take both from one \`blockraft init\``,
    );
  return secretKey;
}
