import { type Command, InvalidArgumentError } from 'commander';
import { type Config, memberOf } from '../config/config.ts';
import type { MembersMessage } from '../lab/admin_service.ts';
import { PRIORITY_MAX } from '../types/configuration.ts';
import {
  type AdminAccess,
  type AdminFlags,
  lookAt,
  memberId,
  withAdmin,
  withAdminFlags,
} from './admin_access.ts';
import { printJson } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';
import { wholeNumber } from './workload_flags.ts';

const PORT_MAX = 65_535;

export function registerMembersPromote(members: Command): void {
  withAdminFlags(
    members
      .command('promote')
      .summary('let a member vote that was added with --manual')
      .description(
        'Makes a voter of a member that has caught up; what it replaces leaves in the same step. Nothing happens when it votes already.',
      )
      .argument('<id>', 'the member'),
  )
    .addHelpText(
      'after',
      examples([['blockraft members promote 4', 'after members add 4 --manual']]),
    )
    .action(async (text: string, flags: AdminFlags) => {
      const id = memberId(text);
      const view = await withAdmin(flags, async (access) => {
        await lookAt(access);
        const reached = await access.client.reach(
          { method: 'PromoteMember', request: { id }, isReached: (now) => votes(now, id) },
          access.patience,
        );
        await forgetMembers(access.config, goneOf(access.config, reached));
        return reached;
      });
      if (flags.json) printJson({ id, configurationIndex: view.configurationIndex });
      else console.log(`member ${id} votes`);
    });
}

export function registerMembersRemove(members: Command): void {
  withAdminFlags(
    members
      .command('remove')
      .summary('take a member out of the cluster for good')
      .description(
        'Takes a member out of the cluster and of the cluster file. Its process stops by itself, with status 0. ' +
          'Its id is never used again. Nothing happens when it is gone already.',
      )
      .argument('<id>', 'the member'),
  )
    .addHelpText('after', examples([['blockraft members remove 3', 'the others go on']]))
    .action(async (text: string, flags: AdminFlags) => {
      const id = memberId(text);
      await withAdmin(flags, async (access) => {
        await lookAt(access);
        const view = await access.client.reach(
          { method: 'RemoveMember', request: { id }, isReached: (now) => isGone(now, id) },
          access.patience,
        );
        await forgetMembers(access.config, [id]);
        const { configurationIndex } = view;
        if (flags.json) return printJson({ id, configurationIndex, voters: votersOf(view) });
        console.log(`member ${id} is removed; ${votersText(view)}`);
        const known = access.config.members.find((member) => member.id === id);
        if (known !== undefined)
          console.log(`its data folder is of no use any more: ${known.dataFolder}`);
      });
    });
}

interface UpdateFlags extends AdminFlags {
  readonly host?: string;
  readonly peerPort?: number;
  readonly apiPort?: number;
  readonly adminPort?: number;
  readonly priority?: number;
}

export function registerMembersUpdate(members: Command): void {
  withAddressFlags(
    withAdminFlags(
      members
        .command('update')
        .summary('change where a member is reached, or how much it is preferred as leader')
        .description(
          'Changes a member in the cluster and in the cluster file. A member that moves must be started anew with the changed file.',
        )
        .argument('<id>', 'the member'),
    ),
  )
    .addHelpText(
      'after',
      examples([
        ['blockraft members update 1 --priority 200', 'let member 1 lead whenever it can'],
        ['blockraft members update 2 --host 10.0.0.22', 'member 2 has another address'],
      ]),
    )
    .action(async (text: string, flags: UpdateFlags) => {
      const id = memberId(text);
      const { host, peerPort, apiPort, adminPort, priority } = flags;
      const given = [host, peerPort, apiPort, adminPort, priority];
      if (given.every((value) => value === undefined))
        throw new CliError('usage', 'give what changes: --host, a port or --priority');
      await withAdmin(flags, async (access) => {
        const known = (await lookAt(access)).members.find((member) => member.id === id);
        if (known === undefined)
          throw new CliError('refused', `there is no member ${id} in the cluster`);
        const address = {
          host: host ?? known.host,
          peerPort: peerPort ?? known.peerPort,
          apiPort: apiPort ?? known.apiPort,
          adminPort: adminPort ?? known.adminPort,
        };
        const wanted = { id, address, priority: priority ?? known.priority };
        const change = await updatedFile(access, wanted);
        const view = await access.client.reach(
          { method: 'UpdateMember', request: wanted, isReached: (now) => isAsWanted(now, wanted) },
          access.patience,
        );
        await change.write();
        if (flags.json)
          return printJson({ ...wanted, configurationIndex: view.configurationIndex });
        console.log(`member ${id} is updated`);
        if (host !== undefined)
          console.log(
            `its certificate must name the new host: npx blockraft certs rotate ${access.config.file} --only member-${id}`,
          );
        if ([host, peerPort, apiPort, adminPort].some((value) => value !== undefined))
          console.log(`start it anew with the changed ${access.config.file}`);
      });
    });
}

/** Adds `--host`, the ports and `--priority`. */
export function withAddressFlags(command: Command): Command {
  return command
    .option('--host <host>', 'name or address under which the others reach it')
    .option('--peer-port <port>', 'for the other members', portNumber)
    .option('--api-port <port>', 'for clients', portNumber)
    .option('--admin-port <port>', 'for operators', portNumber)
    .option(
      '--priority <n>',
      'from 0 to 1000: of two healthy members the higher leads',
      priorityOf,
    );
}

/** Takes members that are gone out of the cluster file. */
export async function forgetMembers(config: Config, ids: readonly number[]): Promise<void> {
  const gone = ids.filter((id) => config.members.some((member) => member.id === id));
  if (gone.length === 0) return;
  const { changedClusterFile, withoutMember, writeClusterFile } = await import('./cluster_file.ts');
  const change = await changedClusterFile(config.file, process.env, (text) =>
    gone.reduce(withoutMember, text),
  );
  await writeClusterFile(change);
}

/** Members of the cluster file that were in the cluster once: what a promoted member replaced, for one. */
function goneOf({ members }: Config, view: MembersMessage): number[] {
  return members.map(({ id }) => id).filter((id) => isGone(view, id));
}

/** Whether a member votes and no change is under way. */
export function votes(view: MembersMessage, id: number): boolean {
  const member = view.members.find((candidate) => candidate.id === id);
  return member?.membership === 'MEMBERSHIP_VOTER' && !view.joint;
}

export function votersText(view: MembersMessage): string {
  return `the voters are ${votersOf(view).join(', ')}`;
}

export function votersOf({ members }: MembersMessage): number[] {
  return members.filter(({ membership }) => membership === 'MEMBERSHIP_VOTER').map(({ id }) => id);
}

function isGone({ members, highestId }: MembersMessage, id: number): boolean {
  return id <= highestId && !members.some((member) => member.id === id);
}

interface Wanted {
  readonly id: number;
  readonly address: {
    readonly host: string;
    readonly peerPort: number;
    readonly apiPort: number;
    readonly adminPort: number;
  };
  readonly priority: number;
}

function isAsWanted(view: MembersMessage, { id, address, priority }: Wanted): boolean {
  const member = view.members.find((candidate) => candidate.id === id);
  return (
    member?.priority === priority &&
    member.host === address.host &&
    member.peerPort === address.peerPort &&
    member.apiPort === address.apiPort &&
    member.adminPort === address.adminPort
  );
}

/** The cluster file with the change, checked before the cluster is asked, to be written after it has agreed. */
async function updatedFile(
  { config }: AdminAccess,
  { id, address, priority }: Wanted,
): Promise<{ write(): Promise<void> }> {
  const { changedClusterFile, withChangedMember, writeClusterFile } = await import(
    './cluster_file.ts'
  );
  const { host, peerPort: peer, apiPort: api, adminPort: admin } = address;
  const known = memberOf(config, id);
  const change = await changedClusterFile(config.file, process.env, (text) =>
    withChangedMember(text, id, {
      host: host === known.host ? undefined : host,
      ports: { peer, api, admin },
      priority: priority === known.priority ? undefined : priority,
    }),
  );
  return { write: () => writeClusterFile(change) };
}

function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port < 1 || port > PORT_MAX) throw new InvalidArgumentError('give a port from 1 to 65535.');
  return port;
}

function priorityOf(text: string): number {
  const priority = wholeNumber(text);
  if (priority > PRIORITY_MAX) throw new InvalidArgumentError('give a number from 0 to 1000.');
  return priority;
}
