import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, credentials, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type Config, memberOf, tlsFiles } from '../../src/config/config.ts';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto/', import.meta.url));
const CALL_MS_MAX = 30_000;

/** One call of the Admin service of a member, over a connection of its own. Rejects with a grpc-js ServiceError. */
export function callAdmin(
  config: Config,
  call: {
    readonly memberId: number;
    readonly method: 'ListMembers' | 'TransferLeadership';
    readonly request: object;
    /** Whose certificate is shown, as the files have it now: `operator`, `client` or `member-<id>`. */
    readonly as: string;
  },
): Promise<Record<string, unknown>> {
  const { host, ports } = memberOf(config, call.memberId);
  const files = tlsFiles(config, call.as);
  const client = new Client(
    `${host}:${ports.admin}`,
    credentials.createSsl(
      readFileSync(files.caFile),
      readFileSync(files.keyFile),
      readFileSync(files.certificateFile),
    ),
    { 'grpc.use_local_subchannel_pool': 1 },
  );
  const { path, requestSerialize, responseDeserialize } = definitionOf(call.method);
  return new Promise<Record<string, unknown>>((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      call.request,
      { deadline: Date.now() + CALL_MS_MAX },
      (error: ServiceError | null, response?: object) => {
        if (error === null) resolve({ ...response });
        else reject(error);
      },
    );
  }).finally(() => client.close());
}

/** Asks the leader to hand over to the target, as an operator does. */
export async function transferLeadership(
  config: Config,
  transfer: { readonly from: number; readonly to: number },
): Promise<void> {
  if (transfer.from === transfer.to) return;
  await callAdmin(config, {
    memberId: transfer.from,
    method: 'TransferLeadership',
    request: { target: transfer.to },
    as: 'operator',
  });
}

function definitionOf(method: string): MethodDefinition<object, object> {
  const service = loadSync('blockraft/v1/admin.proto', {
    includeDirs: [PROTO_FOLDER],
    longs: String,
    defaults: true,
  })['blockraft.v1.Admin'] as Record<string, MethodDefinition<object, object>>;
  const definition = service[method];
  if (definition === undefined) throw new Error(`service Admin has no method ${method}`);
  return definition;
}
