import { access, constants, readFile, stat } from 'node:fs/promises';
import { type Document, isMap, isScalar, isSeq, parseDocument, type YAMLMap, YAMLSeq } from 'yaml';
import type { Config, Environment } from '../config/config.ts';
import { parseConfig } from '../config/load_config.ts';
import { errorText } from '../lib/error.ts';
import { replaceFile } from './atomic_file.ts';
import { CliError } from './exit_codes.ts';

/** A member as an entry of a cluster file. */
export interface MemberEntry {
  readonly id: number;
  readonly host: string;
  readonly ports: { readonly peer: number; readonly api: number; readonly admin: number };
  /** Undefined leaves the key out. */
  readonly priority: number | undefined;
}

/** What changes at a member; undefined stays as it is. */
export interface MemberChange {
  readonly host: string | undefined;
  readonly ports: MemberEntry['ports'] | undefined;
  readonly priority: number | undefined;
}

/** A changed cluster file that is valid and not written yet. */
export interface ClusterFileChange {
  readonly config: Config;
  readonly text: string;
}

const PERMISSIONS = 0o777;

/**
 * The text with one more member. The cluster exists, so nobody may found it again: the first of a cluster that has
 * grown could begin a second chain alone once its data are lost. So all of them are marked as joining; everything
 * else, comments too, stays as it is.
 */
export function withMember(text: string, { id, host, ports, priority }: MemberEntry): string {
  const document = parse(text);
  const members = membersOf(document);
  const [first] = members.items;
  const entry = document.createNode({
    id,
    host,
    ports: { ...ports },
    joins: true,
    ...(priority === undefined ? {} : { priority }),
  });
  // As those before it are written.
  const firstPorts = isMap(first) ? first.get('ports', true) : undefined;
  const entryPorts = entry.get('ports', true);
  if (isMap(entryPorts) && isMap(firstPorts) && firstPorts.flow) entryPorts.flow = true;
  if (isMap(first) && first.flow) entry.flow = true;
  members.items.push(entry);
  markAsJoining(members);
  return print(document, text);
}

/** The text without a member. Nobody may found the cluster again, as in `withMember`. */
export function withoutMember(text: string, id: number): string {
  const document = parse(text);
  const members = membersOf(document);
  const gone = members.items.findIndex((item) => isMap(item) && item.get('id') === id);
  if (gone < 0) return text;
  members.items.splice(gone, 1);
  markAsJoining(members);
  return print(document, text);
}

function markAsJoining(members: YAMLSeq): void {
  for (const item of members.items) if (isMap(item)) item.set('joins', true);
}

/** The text with other values at a member. */
export function withChangedMember(
  text: string,
  id: number,
  { host, ports, priority }: MemberChange,
): string {
  const document = parse(text);
  const entry = membersOf(document).items.find((item) => isMap(item) && item.get('id') === id);
  if (!isMap(entry)) return text;
  setKept(entry, 'host', host);
  setKept(entry, 'priority', priority);
  const known = entry.get('ports', true);
  for (const [listener, port] of Object.entries(ports ?? {}))
    if (isMap(known)) setKept(known, listener, port);
  return print(document, text);
}

/**
 * Applies a change to a cluster file and checks the outcome, as `loadConfig` would. Throws a ConfigError, or a
 * CliError when the file cannot be written.
 */
export async function changedClusterFile(
  file: string,
  environment: Environment,
  change: (text: string) => string,
): Promise<ClusterFileChange> {
  await access(file, constants.W_OK).catch((thrown) => {
    throw new CliError('usage', `${file} cannot be written: ${errorText(thrown)}`);
  });
  const text = change(await readFile(file, 'utf8'));
  return { text, config: parseConfig(text, { file, environment }) };
}

/** Replaces the file in one step. */
export async function writeClusterFile({ config, text }: ClusterFileChange): Promise<void> {
  const { mode } = await stat(config.file);
  await replaceFile(config.file, text, mode & PERMISSIONS);
}

function parse(text: string): Document {
  return parseDocument(text);
}

function membersOf(document: Document): YAMLSeq {
  const members = document.get('members', true);
  if (isSeq(members)) return members;
  const empty = new YAMLSeq();
  document.set('members', empty);
  return empty;
}

/** Keeps the comment beside the old value. */
function setKept(map: YAMLMap, key: string, value: unknown): void {
  if (value === undefined) return;
  const old = map.get(key, true);
  if (isScalar(old)) old.value = value;
  else map.set(key, value);
}

function print(document: Document, before: string): string {
  if (before.trimStart().startsWith('{')) return `${JSON.stringify(document.toJS(), null, 2)}\n`;
  const isIndented = !/^members:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*- /m.test(before);
  return document.toString({ lineWidth: 0, indentSeq: isIndented });
}
