import { createServer } from 'node:net';
import type { Config, MemberConfig, MemberPorts } from '../config/config.ts';
import { freePorts } from '../lab/free_ports.ts';
import { isLoopbackHost } from '../lib/host.ts';
import { CliError } from './exit_codes.ts';

export interface AddressFlags {
  readonly host?: string | undefined;
  readonly peerPort?: number | undefined;
  readonly apiPort?: number | undefined;
  readonly adminPort?: number | undefined;
}

export interface Address {
  readonly host: string;
  readonly ports: MemberPorts;
}

const PORT_MAX = 65_535;
/** Between the port blocks of two members on one machine. */
const BLOCK_DEFAULT = 10;

/**
 * Where a new member shall listen: what was given, and the rest in the manner of the other members. On a machine of its
 * own it gets their ports; on a loopback address the block of its id, or free ports. Throws a CliError.
 */
export async function addressOfNewMember(
  { members }: Config,
  id: number,
  flags: AddressFlags,
): Promise<Address> {
  const host = flags.host ?? commonHost(members);
  const { peerPort: peer, apiPort: api, adminPort: admin } = flags;
  if (peer !== undefined && api !== undefined && admin !== undefined)
    return { host, ports: { peer, api, admin } };
  const rest = isLoopbackHost(host) ? await loopbackPorts(members, id) : samePorts(members, host);
  return {
    host,
    ports: { peer: peer ?? rest.peer, api: api ?? rest.api, admin: admin ?? rest.admin },
  };
}

function commonHost(members: readonly MemberConfig[]): string {
  const [first] = members;
  if (first !== undefined && members.every(({ host }) => isLoopbackHost(host))) return first.host;
  throw new CliError('usage', 'give --host: the address under which the other members reach it');
}

/** The ports that all members use, each on its own machine. */
function samePorts(members: readonly MemberConfig[], host: string): MemberPorts {
  const [first] = members;
  const isSame = members.every(
    ({ ports }) =>
      ports.peer === first?.ports.peer &&
      ports.api === first.ports.api &&
      ports.admin === first.ports.admin,
  );
  if (first !== undefined && isSame && members.every((member) => member.host !== host))
    return first.ports;
  throw new CliError('usage', 'give --peer-port, --api-port and --admin-port');
}

async function loopbackPorts(members: readonly MemberConfig[], id: number): Promise<MemberPorts> {
  const next = blockOf(members, id);
  if (next !== undefined && (await areFree(next))) return next;
  const [peer = 0, api = 0, admin = 0] = await freePorts(3);
  return { peer, api, admin };
}

/** The ports of an id where those of all members rise evenly with their ids; undefined where they do not. */
function blockOf(members: readonly MemberConfig[], id: number): MemberPorts | undefined {
  const [first, second] = members;
  if (first === undefined) return undefined;
  const step =
    second === undefined
      ? BLOCK_DEFAULT
      : (second.ports.peer - first.ports.peer) / (second.id - first.id);
  const shifted = (port: number, to: number): number => port + step * (to - first.id);
  const isEven = members.every(
    ({ id: other, ports }) =>
      ports.peer === shifted(first.ports.peer, other) &&
      ports.api === shifted(first.ports.api, other) &&
      ports.admin === shifted(first.ports.admin, other),
  );
  if (!isEven || step === 0) return undefined;
  const { peer, api, admin } = first.ports;
  const ports = { peer: shifted(peer, id), api: shifted(api, id), admin: shifted(admin, id) };
  const values = Object.values(ports);
  const isUsable = values.every(
    (port) =>
      Number.isInteger(port) &&
      port > 0 &&
      port <= PORT_MAX &&
      !members.some((member) => Object.values(member.ports).includes(port)),
  );
  return isUsable ? ports : undefined;
}

async function areFree(ports: MemberPorts): Promise<boolean> {
  const free = await Promise.all(Object.values(ports).map(isFree));
  return free.every(Boolean);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
