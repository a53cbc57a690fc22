import type { Command } from 'commander';
import type { MemberConfig } from '../config/config.ts';
import type { MemberMessage, MembersMessage, PromotionName } from '../lab/admin_service.ts';
import { systemClock } from '../lib/environment.ts';
import { isLoopbackHost } from '../lib/host.ts';
import { PRIORITY_DEFAULT } from '../types/configuration.ts';
import {
  type AdminAccess,
  type AdminFlags,
  lookAt,
  memberId,
  withAdmin,
  withAdminFlags,
} from './admin_access.ts';
import type { MemberEntry } from './cluster_file.ts';
import { printJson } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';
import type { AddressFlags } from './member_address.ts';
import { ProgressLine, progressText } from './member_progress.ts';
import { forgetMembers, votersOf, votersText, votes, withAddressFlags } from './members_change.ts';

interface JoinFlags extends AdminFlags, AddressFlags {
  readonly priority?: number;
  readonly manual?: boolean;
  readonly wait: boolean;
}

/** A member that shall join, as the command line has it. */
interface Join {
  readonly id: number;
  /** The member whose place it takes. */
  readonly replaced: number | undefined;
}

/** A snapshot of a large state takes minutes. */
const TIMEOUT_S_DEFAULT = 600;

export function registerMembersAdd(members: Command): void {
  withJoinFlags(
    members
      .command('add')
      .summary('add a member to the running cluster')
      .description(
        'Adds a member: makes its certificate where the CA key is at hand, asks the cluster, writes it into the ' +
          'cluster file, says how to start it, and waits until it has caught up and votes. Repeating the command ' +
          'does no harm: it goes on where things stand.',
      )
      .argument('<id>', 'above every id that the cluster ever used'),
  )
    .addHelpText(
      'after',
      examples([
        ['blockraft members add 4', 'on this machine'],
        ['blockraft members add 4 --host 10.0.0.14', 'on another machine'],
        ['blockraft members add 4 --manual --no-wait', 'a copy that does not vote'],
      ]),
    )
    .action((text: string, flags: JoinFlags) =>
      join({ id: memberId(text), replaced: undefined }, flags),
    );
}

export function registerMembersReplace(members: Command): void {
  withJoinFlags(
    members
      .command('replace')
      .summary('put a new member in the place of another one')
      .description(
        'Adds a member as `members add` does; when it has caught up, it begins to vote and the old one leaves in ' +
          'one step, so that the cluster never survives fewer failures than before. The old one may be dead.',
      )
      .argument('<old>', 'the member that leaves')
      .argument('<new>', 'the id of the new one, above every id that the cluster ever used'),
  )
    .addHelpText(
      'after',
      examples([
        ['blockraft members replace 3 4 --host 10.0.0.14', 'a new machine for a lost one'],
      ]),
    )
    .action((old: string, text: string, flags: JoinFlags) => {
      const [replaced, id] = [memberId(old), memberId(text)];
      if (replaced === id)
        throw new CliError('usage', 'a new member has a new id: ids are never used again');
      return join({ id, replaced }, flags);
    });
}

function withJoinFlags(command: Command): Command {
  return withAddressFlags(withAdminFlags(command, TIMEOUT_S_DEFAULT))
    .option('--manual', 'let it vote only after "members promote"')
    .option('--no-wait', 'do not wait until it votes');
}

function join(request: Join, flags: JoinFlags): Promise<void> {
  return withAdmin(flags, async (access) => {
    const view = await lookAt(access);
    requireNewOrTheSame(request, view);
    const file = await fileWith(access, request, { flags, view });
    const { ensureMemberCertificate } = await import('./tls_folder.ts');
    const certificate = await ensureMemberCertificate(
      file.config,
      request.id,
      systemClock.wallMs(),
    );
    const accepted = await askToJoin(access, request, { member: file.member, flags });
    await file.write();
    const isStarted = accepted.members.some(({ id, connected }) => id === request.id && connected);
    if (!flags.json && !isStarted)
      console.log(startText(access, request, { member: file.member, certificate }));
    const joined = flags.wait ? await waitFor(access, request, { accepted, flags }) : undefined;
    if (joined !== undefined && request.replaced !== undefined && !flags.manual)
      await forgetMembers(access.config, [request.replaced]);
    const last = joined ?? accepted;
    if (flags.json)
      return printJson({
        id: request.id,
        certificate,
        startCommand: startCommand(access, request.id),
        configurationIndex: last.configurationIndex,
        votes: votes(last, request.id),
        voters: votersOf(last),
      });
    if (joined === undefined) return;
    console.log(
      !votes(last, request.id)
        ? `member ${request.id} has caught up; npx blockraft members promote ${request.id} lets it vote`
        : `member ${request.id} votes; ${votersText(last)}`,
    );
  });
}

/** Whoever votes, or was added otherwise, takes nobody's place: an id is mistaken. Throws a CliError. */
function requireNewOrTheSame({ id, replaced }: Join, view: MembersMessage): void {
  const isThere = view.members.some((one) => one.id === id);
  // In a joint configuration a member that takes another's place votes while that one is still there.
  if (replaced === undefined || !isThere || view.joint || takesPlace(view, { id, replaced }))
    return;
  throw new CliError(
    'refused',
    `member ${id} is in the cluster already and does not replace ${replaced}: take a new id, above ${view.highestId}`,
  );
}

/** Whether the one is there in the place of the other, or to take it. */
function takesPlace({ members }: MembersMessage, { id, replaced }: Join): boolean {
  const member = members.find((one) => one.id === id);
  if (member === undefined) return false;
  return member.replaces === replaced || members.every((one) => one.id !== replaced);
}

/** The cluster file with the new member, checked and not written yet; as it is when it has the member already. */
async function fileWith(
  { config }: AdminAccess,
  { id, replaced }: Join,
  { flags, view }: { flags: JoinFlags; view: MembersMessage },
) {
  const { changedClusterFile, withMember, writeClusterFile } = await import('./cluster_file.ts');
  const present = config.members.find((member) => member.id === id);
  if (present !== undefined) {
    requireAsWritten(present, flags);
    return { config, member: present, write: async () => undefined };
  }
  const known = view.members.find((member) => member.id === id);
  if (known === undefined && id <= view.highestId)
    throw new CliError(
      'refused',
      `id ${id} was used before, or a later one was: take one above ${view.highestId}`,
    );
  const { addressOfNewMember } = await import('./member_address.ts');
  const { host, ports } =
    known === undefined ? await addressOfNewMember(config, id, flags) : addressOf(known);
  const old = config.members.find((member) => member.id === replaced);
  const entry: MemberEntry = { id, host, ports, priority: flags.priority ?? priorityLike(old) };
  const change = await changedClusterFile(config.file, process.env, (text) =>
    withMember(text, entry),
  );
  const member = change.config.members.find((candidate) => candidate.id === id);
  if (member === undefined) throw new CliError('failure', `${config.file} could not be changed`);
  return { config: change.config, member, write: () => writeClusterFile(change) };
}

/** An entry of the file is what counts; flags that say something else are a mistake. */
function requireAsWritten(member: MemberConfig, flags: JoinFlags): void {
  const { host, ports, priority } = member;
  const pairs: [unknown, unknown, string][] = [
    [flags.host, host, '--host'],
    [flags.peerPort, ports.peer, '--peer-port'],
    [flags.apiPort, ports.api, '--api-port'],
    [flags.adminPort, ports.admin, '--admin-port'],
    [flags.priority, priority, '--priority'],
  ];
  for (const [given, written, flag] of pairs)
    if (given !== undefined && given !== written)
      throw new CliError(
        'usage',
        `${flag} ${given}: the cluster file has member ${member.id} with ${written} already; leave the flag out, or change the file`,
      );
}

function addressOf({ host, peerPort, apiPort, adminPort }: MemberMessage) {
  return { host, ports: { peer: peerPort, api: apiPort, admin: adminPort } };
}

/** Who takes the place of a preferred member is preferred as well. */
function priorityLike(old: MemberConfig | undefined): number | undefined {
  return old === undefined || old.priority === PRIORITY_DEFAULT ? undefined : old.priority;
}

async function askToJoin(
  { client, patience }: AdminAccess,
  { id, replaced }: Join,
  { member, flags }: { member: MemberConfig; flags: JoinFlags },
): Promise<MembersMessage> {
  const { host, ports, priority } = member;
  const promotion: PromotionName = flags.manual ? 'PROMOTION_MANUAL' : 'PROMOTION_AUTOMATIC';
  const addition = {
    id,
    address: { host, peerPort: ports.peer, apiPort: ports.api, adminPort: ports.admin },
    priority,
    promotion,
  };
  // Of an addition `replaced` is undefined, which no member is.
  const isReached = (view: MembersMessage): boolean => takesPlace(view, { id, replaced });
  const view =
    replaced === undefined
      ? await client.reach({ method: 'AddMember', request: addition, isReached }, patience)
      : await client.reach(
          { method: 'ReplaceMember', request: { ...addition, replacedId: replaced }, isReached },
          patience,
        );
  const found = view.members.find((one) => one.id === id);
  if (found !== undefined && (found.host !== host || found.peerPort !== ports.peer))
    throw new CliError(
      'refused',
      `member ${id} is in the cluster at ${found.host}, peer port ${found.peerPort}, and in the cluster file at ${host}, peer port ${ports.peer}; "members update" changes the one, an editor the other`,
    );
  return view;
}

/** Shows how the new member gets on, until it votes; with --manual until it holds what the log held when it came. */
async function waitFor(
  { client, patience }: AdminAccess,
  { id, replaced }: Join,
  { accepted, flags }: { accepted: MembersMessage; flags: JoinFlags },
): Promise<MembersMessage> {
  const line = new ProgressLine(process.stderr, systemClock.monotonicMs);
  let text = progressText(id, accepted);
  const isEnough = (view: MembersMessage): boolean => {
    if (replaced !== undefined && !flags.manual && view.members.some((one) => one.id === replaced))
      return false;
    if (votes(view, id)) return view.configurationCommitted;
    const member = view.members.find((one) => one.id === id);
    return flags.manual === true && (member?.matchIndex ?? 0) >= accepted.lastIndex;
  };
  const reached = await client.until(isEnough, {
    ...patience,
    onView: (view) => {
      text = progressText(id, view);
      if (!flags.json) line.show(text);
    },
  });
  line.end();
  if (reached !== undefined) return reached;
  throw new CliError(
    'failure',
    `not finished after ${flags.timeout} s (${text}); the cluster goes on with it: repeat the command to watch`,
  );
}

function startCommand({ config }: AdminAccess, id: number): string {
  return `npx blockraft member --config ${config.file} --id ${id}`;
}

function startText(
  access: AdminAccess,
  { id, replaced }: Join,
  { member, certificate }: { member: MemberConfig; certificate: 'made' | 'present' | 'elsewhere' },
): string {
  const { file, secretsFolder } = access.config;
  const lines = [
    replaced === undefined
      ? `member ${id} is in the cluster and in ${file}`
      : `member ${id}, which replaces ${replaced}, is in the cluster and in ${file}`,
  ];
  if (certificate === 'elsewhere')
    lines.push(
      `its certificate must be made where the CA key is, with the changed ${file}:`,
      '',
      `  npx blockraft certs rotate ${file} --only member-${id}`,
      '',
    );
  if (!isLoopbackHost(member.host))
    lines.push(
      `on ${member.host} it needs ${file}, the genesis, and from ${secretsFolder}: validator.key, tls/ca.pem, tls/member-${id}.pem and tls/member-${id}.key.pem`,
    );
  return [...lines, 'start it with:', '', `  ${startCommand(access, id)}`, ''].join('\n');
}
