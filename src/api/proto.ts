import { fileURLToPath } from 'node:url';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/**
 * How messages look in JavaScript: camelCase fields with defaults filled in, bytes as Buffer, enums by name, the case
 * of a oneof under its own name. A uint64 is a number; one above 2^53 is never taken for a safe integer, so that
 * requests can be checked. Responses are given numbers, or decimal strings where all 64 bits count.
 */
export const LOADER_OPTIONS: Options = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
  includeDirs: [PROTO_FOLDER],
};

/** Services and messages of `blockraft/v1/node.proto`. */
export function loadNodeProto(): PackageDefinition {
  return loadSync('blockraft/v1/node.proto', LOADER_OPTIONS);
}

/** Services and messages of `blockraft/v1/admin.proto`, and those of the file that it imports. */
export function loadAdminProto(): PackageDefinition {
  return loadSync('blockraft/v1/admin.proto', LOADER_OPTIONS);
}
