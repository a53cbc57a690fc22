import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument, stringify } from 'yaml';
import { addressText, parseAddress } from '../config/address_text.ts';
import { type Config, type MemberPorts, validatorKeyFile } from '../config/config.ts';
import { ConfigError } from '../config/config_error.ts';
import { parseConfig } from '../config/load_config.ts';
import { parseGenesis } from '../config/load_genesis.ts';
import { validatorAddress } from '../crypto/block.ts';
import { BLS_SECRET_KEY_BYTES, generateSecretKey, publicKey } from '../crypto/bls.ts';
import { keccak256 } from '../crypto/keccak.ts';
import { addressOf } from '../crypto/transaction.ts';
import { toHex, toPrefixedHex, utf8 } from '../lib/bytes.ts';
import type { Address } from '../types/primitives.ts';
import { createFile } from './atomic_file.ts';
import { CliError } from './exit_codes.ts';
import {
  createTlsFolder,
  PUBLIC_FILE_MODE,
  SECRET_FILE_MODE,
  SECRET_FOLDER_MODE,
} from './tls_folder.ts';

const TEMPLATES_FOLDER = fileURLToPath(new URL('../../cluster-configs/', import.meta.url));
const TEMPLATE_OF_COUNT: Record<number, string> = {
  1: 'solo',
  3: 'local-3',
  5: 'local-5',
  7: 'local-7',
};
const TEMPLATE_DEFAULT = 'local-3';
const TEMPLATE_NAME_PATTERN = /^[a-z0-9][a-z0-9-]*$/;
const CHAIN_ID_DEFAULT = 1337n;
const FUNDS = '1000000 ether';
const DEV_ACCOUNTS_MAX = 10_000;
const DEV_ACCOUNT_DOMAIN = 'blockraft/dev-account/';
const DEV_ACCOUNTS_WARNING =
  'FOR TESTS ONLY: everyone can compute these keys. Never send anything of value to these addresses.';

export interface InitOptions {
  /** Made when missing; must be empty unless `force`, and even then no file is replaced. */
  readonly directory: string;
  /** Name of a file in cluster-configs without `.yaml`, or a path; by default local-3. */
  readonly template?: string | undefined;
  /** 1, 3, 5 or 7 members on this machine, instead of a template. */
  readonly memberCount?: number | undefined;
  /** By default 1337. */
  readonly chainId?: bigint | undefined;
  /** Addresses in 0x form that get a million ether each. */
  readonly fund?: readonly string[] | undefined;
  /** Accounts with a million ether each whose keys are the same in every cluster. */
  readonly devAccountCount?: number | undefined;
  /** Where fees go; by default to the validator's own address, which nobody can spend from. */
  readonly rewardAddress?: string | undefined;
  /** Replaces the template's ports. */
  readonly ports?: ((memberId: number) => MemberPorts) | undefined;
  /** Replaces the template's data folder; relative ones start at `directory`. */
  readonly data?: string | undefined;
  readonly force?: boolean | undefined;
}

export interface InitDependencies {
  readonly nowMs: () => number;
  /** That many bytes from a secure source. */
  readonly randomBytes: (length: number) => Uint8Array;
}

/** An account of `devAccountCount`; never for anything but tests. */
interface DevAccount {
  readonly address: string;
  /** 0x and 64 hex digits. */
  readonly privateKey: string;
}

export interface InitResult {
  readonly config: Config;
  readonly clusterFile: string;
  readonly genesisFile: string;
  readonly secretsFolder: string;
  readonly chainId: bigint;
  readonly validatorAddress: string;
  readonly validatorPublicKey: string;
  readonly rewardAddress: string;
  readonly devAccounts: readonly DevAccount[];
  /** What the operator must know, as sentences. */
  readonly notes: readonly string[];
}

/**
 * Writes a new cluster: cluster.yaml, genesis.yaml, the validator's key, the CA and all certificates. Nothing is
 * written before everything is checked, and nothing is left when a write fails. Throws a CliError or a ConfigError.
 */
export async function initCluster(
  options: InitOptions,
  dependencies: InitDependencies,
): Promise<InitResult> {
  const directory = resolve(options.directory);
  const nowMs = dependencies.nowMs();
  const clusterText = await clusterTextOf(options);
  const config = parseConfig(clusterText, {
    file: join(directory, 'cluster.yaml'),
    environment: { HOME: directory },
  });
  requireInside(directory, config);
  requireFounders(config);
  const secretKey = generateSecretKey(dependencies.randomBytes(BLS_SECRET_KEY_BYTES));
  const validatorKey = publicKey(secretKey);
  const reward =
    options.rewardAddress === undefined
      ? validatorAddress(validatorKey)
      : addressArgument(options.rewardAddress, 'the reward address');
  const devAccounts = makeDevAccounts(options.devAccountCount ?? 0);
  const genesisText = genesisTextOf({
    chainId: options.chainId ?? CHAIN_ID_DEFAULT,
    nowMs,
    validatorKey,
    reward,
    funded: fundedAddresses(options.fund ?? [], devAccounts),
  });
  const genesis = parseGenesis(genesisText, config.genesisFile);
  await withNewFolder({ directory, config, force: options.force === true }, async () => {
    await createFile(config.file, clusterText, PUBLIC_FILE_MODE);
    await createFile(config.genesisFile, genesisText, PUBLIC_FILE_MODE);
    await createFile(validatorKeyFile(config), `${toHex(secretKey)}\n`, SECRET_FILE_MODE);
    if (devAccounts.length > 0)
      await createFile(devAccountsFile(config), devAccountsText(devAccounts), SECRET_FILE_MODE);
    await createTlsFolder(config, nowMs);
  });
  return {
    config,
    clusterFile: config.file,
    genesisFile: config.genesisFile,
    secretsFolder: config.secretsFolder,
    chainId: genesis.chainId,
    validatorAddress: addressText(validatorAddress(validatorKey)),
    validatorPublicKey: toPrefixedHex(validatorKey),
    rewardAddress: addressText(reward),
    devAccounts,
    notes: notesOf(config, options, genesis.accounts.length),
  };
}

/** Test accounts with the same keys in every cluster. */
export function makeDevAccounts(count: number): DevAccount[] {
  if (!Number.isSafeInteger(count) || count < 0 || count > DEV_ACCOUNTS_MAX)
    throw new CliError('usage', `there may be 0 to ${DEV_ACCOUNTS_MAX} dev accounts, not ${count}`);
  return Array.from({ length: count }, (_, index) => {
    const privateKey = keccak256(utf8(`${DEV_ACCOUNT_DOMAIN}${index}`));
    return {
      address: addressText(addressOf(privateKey)),
      privateKey: toPrefixedHex(privateKey),
    };
  });
}

async function clusterTextOf(options: InitOptions): Promise<string> {
  const file = templateFile(options);
  const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    const message = `the template ${file} cannot be read: ${thrown.message}; by name there are ${templateNames()}`;
    throw new CliError('usage', message, { cause: thrown });
  });
  // Whatever is wrong is wrong in the template, so its own lines are told.
  parseConfig(text, { file, environment: { HOME: dirname(file) } });
  return options.ports === undefined && options.data === undefined
    ? text
    : changedText(text, file, options);
}

function templateNames(): string {
  return readdirSync(TEMPLATES_FOLDER)
    .map((file) => basename(file, '.yaml'))
    .sort()
    .join(', ');
}

/** The template with other ports or another data folder, its comments kept. */
function changedText(text: string, file: string, { ports, data }: InitOptions): string {
  const config = parseConfig(text, { file, environment: { HOME: dirname(file) } });
  const document = parseDocument(text);
  if (data !== undefined) document.set('data', data);
  // Members of the configuration are sorted; the file's are not.
  const written: { members: { id: number }[] } = document.toJS();
  for (const { id } of ports === undefined ? [] : config.members) {
    const index = written.members.findIndex((member) => member.id === id);
    document.setIn(['members', index, 'ports'], document.createNode(ports?.(id)));
  }
  return String(document);
}

function templateFile({ template, memberCount }: InitOptions): string {
  if (template !== undefined && memberCount !== undefined)
    throw new CliError('usage', 'a template has its own members: give TEMPLATE or --members');
  const name =
    memberCount === undefined ? (template ?? TEMPLATE_DEFAULT) : TEMPLATE_OF_COUNT[memberCount];
  if (name === undefined)
    throw new CliError('usage', `a cluster has 1, 3, 5 or 7 members, not ${memberCount}`);
  const named = join(TEMPLATES_FOLDER, `${name}.yaml`);
  return TEMPLATE_NAME_PATTERN.test(name) && existsSync(named) ? named : resolve(name);
}

/** A template whose files would lie elsewhere could overwrite those of another cluster. */
function requireInside(directory: string, config: Config): void {
  const places = { genesis: config.genesisFile, secrets: config.secretsFolder };
  const problems = Object.entries(places)
    .filter(([, path]) => {
      const inner = relative(directory, path);
      return inner === '' || inner.startsWith('..') || resolve(inner) === inner;
    })
    .map(([path, value]) => ({
      file: config.file,
      path,
      value: JSON.stringify(value),
      fix: `must be inside ${directory} for "blockraft init" to write it; make it relative`,
    }));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** A file whose members all join is that of a cluster that there is already. */
function requireFounders(config: Config): void {
  if (config.members.some(({ joins }) => !joins)) return;
  const fix = 'all join, so that nobody would found the cluster; take "joins" out of 1, 3, 5 or 7';
  throw new ConfigError([{ file: config.file, path: 'members', value: undefined, fix }]);
}

/** The address of a command-line argument. */
function addressArgument(text: string, what: string): Address {
  const address = parseAddress(text);
  if (typeof address === 'string') throw new CliError('usage', `${what} ${text} ${address}`);
  return address;
}

function fundedAddresses(fund: readonly string[], devAccounts: readonly DevAccount[]): string[] {
  const texts = [...fund, ...devAccounts.map(({ address }) => address)];
  const addresses = texts.map((text) => addressText(addressArgument(text, 'the account')));
  const seen = new Set<string>();
  for (const address of addresses) {
    if (seen.has(address)) throw new CliError('usage', `the account ${address} is given twice`);
    seen.add(address);
  }
  return addresses;
}

function genesisTextOf(options: {
  chainId: bigint;
  nowMs: number;
  validatorKey: Uint8Array;
  reward: Address;
  funded: readonly string[];
}): string {
  const { chainId, nowMs, validatorKey, reward, funded } = options;
  const comment = [
    '# The genesis of the chain: every member must have the same. Change it only before the first start.',
    '# `blockraft config schema genesis` lists every key that may stand here, with its default.',
  ];
  const content = {
    version: 1,
    chainId: chainId.toString(),
    timestamp: new Date(nowMs - (nowMs % 1_000)).toISOString(),
    validators: [
      {
        publicKey: toPrefixedHex(validatorKey),
        power: 1,
        rewardAddress: addressText(reward),
      },
    ],
    accounts: funded.map((address) => ({ address, balance: FUNDS })),
  };
  return `${comment.join('\n')}\n${stringify(content, { lineWidth: 0 })}`;
}

function devAccountsFile(config: Config): string {
  return join(config.secretsFolder, 'dev-accounts.json');
}

function devAccountsText(accounts: readonly DevAccount[]): string {
  return `${JSON.stringify({ warning: DEV_ACCOUNTS_WARNING, accounts }, null, 2)}\n`;
}

/** Runs the writes in a folder that is ready for them, and removes what they wrote when one fails. */
async function withNewFolder(
  { directory, config, force }: { directory: string; config: Config; force: boolean },
  write: () => Promise<void>,
): Promise<void> {
  const existing = await readdir(directory).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return undefined;
    throw new CliError('failure', `${directory} cannot be used: ${thrown.message}`, {
      cause: thrown,
    });
  });
  if (existing !== undefined && existing.length > 0 && !force)
    throw new CliError(
      'usage',
      `${directory} is not empty: choose a new folder (--force writes beside what is there)`,
    );
  const made = [config.file, config.genesisFile, config.secretsFolder];
  const inTheWay = made.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  if (inTheWay.length > 0)
    throw new CliError('usage', `${inTheWay.join(', ')} exists: keys are never overwritten`);
  try {
    await mkdir(directory, { recursive: true });
    await mkdir(dirname(config.genesisFile), { recursive: true });
    await mkdir(config.secretsFolder, { recursive: true, mode: SECRET_FOLDER_MODE });
    await write();
  } catch (thrown) {
    const remains = existing === undefined ? [directory] : made;
    for (const path of remains) await rm(path, { recursive: true, force: true });
    throw thrown;
  }
}

function notesOf(config: Config, options: InitOptions, accountCount: number): string[] {
  const notes = [
    `${validatorKeyFile(config)} is the validator's whole key, and every member needs it: whoever reads it can sign as the validator.`,
    `${join(config.secretsFolder, 'tls', 'ca.key.pem')} makes certificates: keep it away from machines that only run a member.`,
  ];
  if (options.rewardAddress === undefined)
    notes.push(
      "Fees go to the validator's own address, from which nobody can spend; --reward-address chooses another.",
    );
  if ((options.devAccountCount ?? 0) > 0)
    notes.push(`${devAccountsFile(config)}: ${DEV_ACCOUNTS_WARNING}`);
  if (accountCount === 0)
    notes.push('No account has funds: --fund ADDRESS or --dev-accounts N gives some.');
  return notes;
}
