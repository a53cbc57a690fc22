import { stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { relationProblems, type SoundParts } from './cluster_relations.ts';
import {
  type ClusterFile,
  type ClusterMember,
  clusterSchema,
  memberSchema,
} from './cluster_schema.ts';
import { type Config, type Environment, type MemberPorts, memberOf } from './config.ts';
import { ConfigError, type ConfigProblem } from './config_error.ts';
import { deepFreeze } from './deep_freeze.ts';
import { pathText, problemIn, schemaProblems } from './schema_problems.ts';
import { parseYaml, readYamlFile, type YamlSource } from './yaml_source.ts';

/** Largest cluster file that is read. */
const CLUSTER_FILE_BYTES_MAX = 1024 * 1024;
/** What a folder given instead of a file must hold. */
const CLUSTER_FILE_NAME = 'cluster.yaml';

const PORT_VARIABLES = {
  peer: 'BLOCKRAFT_PEER_PORT',
  api: 'BLOCKRAFT_API_PORT',
  admin: 'BLOCKRAFT_ADMIN_PORT',
} as const;

export interface ConfigOptions {
  /** Cluster file, or a folder that holds a `cluster.yaml`; relative to the current folder. */
  readonly file: string;
  readonly environment: Environment;
  /** The member being started: it must exist, and the port variables are its own. */
  readonly memberId?: number;
}

/**
 * Reads a cluster file, applies the environment and checks everything.
 *
 * BLOCKRAFT_DATA, BLOCKRAFT_SECRETS and BLOCKRAFT_GENESIS replace the paths of the file (relative ones start at the
 * current folder). BLOCKRAFT_PEER_PORT, BLOCKRAFT_API_PORT and BLOCKRAFT_ADMIN_PORT replace the ports of the
 * member being started. Empty variables count as absent.
 * Throws a ConfigError that holds all problems found.
 */
export async function loadConfig(options: ConfigOptions): Promise<Config> {
  const file = await clusterFileOf(options.file);
  return configFrom(await readYamlFile(file, CLUSTER_FILE_BYTES_MAX), options);
}

/** The same for a text in memory. */
export function parseConfig(text: string, options: ConfigOptions): Config {
  return configFrom(parseYaml(text, resolve(options.file)), options);
}

async function clusterFileOf(path: string): Promise<string> {
  const file = resolve(path);
  const isFolder = await stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? join(file, CLUSTER_FILE_NAME) : file;
}

function configFrom(source: YamlSource, options: ConfigOptions): Config {
  const environment = new EnvironmentReader(options.environment);
  const ports = options.memberId === undefined ? {} : environment.ports();
  const data = withPorts(source.data, options.memberId, ports);
  const parsed = clusterSchema.safeParse(data);
  const placed = [
    ...(parsed.success ? [] : schemaProblems(parsed.error, clusterSchema)),
    ...relationProblems(soundParts(data)),
  ];
  // A port of the environment is told as such, not as a value of the file.
  const problems = placed.map((problem): ConfigProblem => {
    const found = problemIn(source, problem);
    const variable = variableAt(problem.path, data, options.memberId, ports);
    if (variable === undefined) return found;
    return {
      file: 'environment',
      path: variable.name,
      value: String(variable.port),
      fix: `as ${pathText(problem.path)}: ${problem.fix}`,
    };
  });
  problems.push(...environment.problems);
  if (!parsed.success) throw new ConfigError(problems);
  const dataFolder = dataFolderOf(parsed.data, source.file, options.environment, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const config = deepFreeze(build(parsed.data, source.file, options.environment, dataFolder));
  if (options.memberId !== undefined) memberOf(config, options.memberId);
  return config;
}

function build(
  cluster: ClusterFile,
  file: string,
  environment: Environment,
  dataFolder: string,
): Config {
  const { raft, wal, blocks, mempool, admission, api, logging } = cluster;
  return {
    file,
    clusterId: cluster.cluster,
    genesisFile: pathOf(environment.BLOCKRAFT_GENESIS, cluster.genesis, file),
    secretsFolder: pathOf(environment.BLOCKRAFT_SECRETS, cluster.secrets, file),
    dataFolder,
    members: cluster.members
      .toSorted((left, right) => left.id - right.id)
      .map((member) => ({ ...member, dataFolder: join(dataFolder, `member-${member.id}`) })),
    raft,
    wal,
    blocks,
    mempool,
    admission,
    api,
    logging,
  };
}

function pathOf(override: string | undefined, written: string, file: string): string {
  return override ? resolve(override) : resolve(dirname(file), written);
}

function dataFolderOf(
  cluster: ClusterFile,
  file: string,
  environment: Environment,
  problems: ConfigProblem[],
): string {
  const { BLOCKRAFT_DATA, XDG_STATE_HOME, HOME } = environment;
  if (BLOCKRAFT_DATA) return resolve(BLOCKRAFT_DATA);
  if (cluster.data !== undefined) return resolve(dirname(file), cluster.data);
  // The XDG specification has relative paths ignored.
  if (XDG_STATE_HOME && isAbsolute(XDG_STATE_HOME))
    return join(XDG_STATE_HOME, 'blockraft', cluster.cluster);
  if (HOME) return join(HOME, '.local', 'state', 'blockraft', cluster.cluster);
  problems.push({
    file,
    path: 'data',
    value: undefined,
    fix: 'is missing, and neither XDG_STATE_HOME nor HOME is set; give a folder here or in BLOCKRAFT_DATA',
  });
  return '';
}

/** Each part that its own schema accepts, so that one fault does not hide the relations of the others. */
function soundParts(data: unknown): SoundParts {
  if (typeof data !== 'object' || data === null) return {};
  const values = data as Record<string, unknown>;
  const parts: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(clusterSchema.shape)) {
    const parsed = schema.safeParse(values[key]);
    if (parsed.success) parts[key] = parsed.data;
  }
  if (Array.isArray(values.members))
    parts.members = values.members.map(
      (member): ClusterMember | undefined => memberSchema.safeParse(member).data,
    );
  return parts;
}

type PortOverrides = Partial<MemberPorts>;

function withPorts(data: unknown, memberId: number | undefined, ports: PortOverrides): unknown {
  const index = memberIndex(data, memberId);
  if (index === undefined || Object.keys(ports).length === 0) return data;
  const copy = structuredClone(data) as { members: { ports?: object }[] };
  const member = copy.members[index];
  if (member !== undefined) member.ports = { ...member.ports, ...ports };
  return copy;
}

function variableAt(
  path: readonly (string | number)[],
  data: unknown,
  memberId: number | undefined,
  ports: PortOverrides,
): { name: string; port: number } | undefined {
  const [first, index, third, listener] = path;
  if (first !== 'members' || third !== 'ports' || index !== memberIndex(data, memberId))
    return undefined;
  if (listener !== 'peer' && listener !== 'api' && listener !== 'admin') return undefined;
  const port = ports[listener];
  return port === undefined ? undefined : { name: PORT_VARIABLES[listener], port };
}

function memberIndex(data: unknown, memberId: number | undefined): number | undefined {
  const members = (data as { members?: unknown } | null)?.members;
  if (!Array.isArray(members) || memberId === undefined) return undefined;
  const index = members.findIndex((member) => member?.id === memberId);
  return index === -1 ? undefined : index;
}

/** Takes typed values from the environment and collects what is wrong with them. */
class EnvironmentReader {
  readonly problems: ConfigProblem[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  ports(): PortOverrides {
    const ports: { -readonly [listener in keyof MemberPorts]?: number } = {};
    for (const listener of ['peer', 'api', 'admin'] as const) {
      const port = this.#port(PORT_VARIABLES[listener]);
      if (port !== undefined) ports[listener] = port;
    }
    return ports;
  }

  #port(name: string): number | undefined {
    const text = this.#environment[name];
    if (!text) return undefined;
    const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
    if (port >= 1 && port <= 65_535) return port;
    this.problems.push({
      file: 'environment',
      path: name,
      value: text,
      fix: 'must be a port from 1 to 65535; change or unset it',
    });
    return undefined;
  }
}
