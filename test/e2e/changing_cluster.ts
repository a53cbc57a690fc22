import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { loadConfig } from '../../src/config/load_config.ts';
import { NodeClient } from '../../src/lab/client.ts';
import { apiEndpoints } from '../../src/lab/credentials.ts';
import { ClusterProcesses } from '../../src/lab/processes.ts';
import { systemClock } from '../../src/lib/environment.ts';
import { sleep, type TestCluster } from './harness.ts';
import { type CliResult, runCli } from './run_cli.ts';

const POLL_INTERVAL_MS = 100;

/** A cluster that members join and leave while it runs, by the commands that an operator uses. */
export class ChangingCluster {
  readonly #cluster: TestCluster;
  readonly #newcomers = new Map<number, ClusterProcesses>();
  readonly #clients: NodeClient[] = [];

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  /** Ids of those who vote, as the leader sees it. */
  async voters(): Promise<number[]> {
    const { stdout } = await this.succeed('list', '--json');
    const members: { id: number; role: string }[] = JSON.parse(stdout).members;
    return members.filter(({ role }) => role === 'voter').map(({ id }) => id);
  }

  /** `blockraft members …` */
  run(...args: string[]): Promise<CliResult> {
    return runCli(['members', ...args, '--config', this.#cluster.configFile]);
  }

  async succeed(...args: string[]): Promise<CliResult> {
    const result = await this.run(...args);
    expect(result, `members ${args.join(' ')}`).toMatchObject({ code: 0 });
    return result;
  }

  /** Adds or replaces, starts the new member, and repeats the command, which then waits until it votes. */
  async join(id: number, ...args: string[]): Promise<void> {
    await this.succeed(...args, '--no-wait');
    await this.start(id);
    await this.succeed(...args);
    await this.processesOf(id).waitReady([id]);
  }

  /** Starts a member that the cluster file names by now. */
  async start(id: number): Promise<void> {
    if (!this.#isFounder(id) && !this.#newcomers.has(id)) {
      const { configFile, credentials, folder } = this.#cluster;
      const config = await loadConfig({ file: configFile, environment: {} });
      const members = apiEndpoints(config).filter((endpoint) => endpoint.id === id);
      const logsFolder = join(folder, 'logs');
      const made = new ClusterProcesses(
        { configFile, members, credentials, logsFolder },
        systemClock,
      );
      this.#newcomers.set(id, made);
    }
    this.processesOf(id).start(id);
  }

  processesOf(id: number): ClusterProcesses {
    const processes = this.#isFounder(id) ? this.#cluster.processes : this.#newcomers.get(id);
    if (processes === undefined) throw new Error(`member ${id} was never started`);
    return processes;
  }

  /** A client of one member alone. */
  clientOf(id: number): NodeClient {
    const { credentials } = this.#cluster;
    const addresses = this.processesOf(id)
      .members.filter((member) => member.id === id)
      .map(({ address }) => address);
    const client = new NodeClient({ addresses, credentials }, systemClock);
    this.#clients.push(client);
    return client;
  }

  /** Waits until the process of a member has ended by itself. */
  async ended(id: number): Promise<void> {
    while (this.processesOf(id).pidOf(id) !== undefined) await sleep(POLL_INTERVAL_MS);
  }

  /** Everything that a member wrote, in all of its lives. */
  log(id: number): string {
    return readFileSync(this.processesOf(id).logFile(id), 'utf8');
  }

  /** How often a member has written an event. */
  count(id: number, event: string): number {
    return this.log(id).split(`"msg":"${event}"`).length - 1;
  }

  /** Waits until a member has written an event so many times. */
  async logged(id: number, event: string, times: number): Promise<void> {
    while (this.count(id, event) < times) await sleep(10);
  }

  /** Ends the members that came later; those of the start end with their own cluster. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const processes of this.#newcomers.values()) await processes.stopAll();
  }

  #isFounder(id: number): boolean {
    return this.#cluster.processes.members.some((member) => member.id === id);
  }
}
