import { readFileSync } from 'node:fs';
import { credentials } from '@grpc/grpc-js';
import { type Config, memberOf, tlsFiles } from '../../src/config/config.ts';
import { type RawCall, rawCall } from './raw_call.ts';

/**
 * A call of the Admin service of a member.
 * @param as whose certificate is shown, as the files have it now: `operator`, `client` or `member-<id>`
 */
export function adminCall(
  config: Config,
  call: { readonly memberId: number; readonly method: string; readonly request?: object },
  as = 'operator',
): RawCall {
  const { host, ports } = memberOf(config, call.memberId);
  const files = tlsFiles(config, as);
  return {
    address: `${host}:${ports.admin}`,
    credentials: credentials.createSsl(
      readFileSync(files.caFile),
      readFileSync(files.keyFile),
      readFileSync(files.certificateFile),
    ),
    service: 'Admin',
    method: call.method,
    request: call.request ?? {},
  };
}

/** Asks the leader to hand over to another member, as an operator does. */
export async function transferLeadership(
  config: Config,
  transfer: { readonly from: number; readonly to: number },
): Promise<void> {
  const { from, to } = transfer;
  if (from === to) return;
  const request = { target: to };
  await rawCall(adminCall(config, { memberId: from, method: 'TransferLeadership', request }));
}
