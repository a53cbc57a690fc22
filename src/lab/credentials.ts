import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Config, tlsFiles } from '../config/config.ts';
import type { MemberEndpoint } from './processes.ts';

/** What a client of this cluster connects with: its own certificate, or nothing where the API is plaintext. */
export function clientCredentials(config: Config): ChannelCredentials {
  if (config.api.security === 'plaintext') return credentials.createInsecure();
  const files = tlsFiles(config, 'client');
  return credentials.createSsl(
    readFileSync(files.caFile),
    readFileSync(files.keyFile),
    readFileSync(files.certificateFile),
  );
}

/** Where the members of a cluster answer clients, ascending by id. */
export function apiEndpoints(config: Config): MemberEndpoint[] {
  return config.members.map(({ id, host, ports }) => ({
    id,
    address: host.includes(':') ? `[${host}]:${ports.api}` : `${host}:${ports.api}`,
  }));
}
