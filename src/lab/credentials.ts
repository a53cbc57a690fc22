import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Config, tlsFiles } from '../config/config.ts';
import { ConfigError } from '../config/config_error.ts';
import { errorText } from '../lib/error.ts';
import type { MemberEndpoint } from './processes.ts';

/**
 * What a client of this cluster connects with: its own certificate, or nothing where the API is plaintext. Throws a
 * ConfigError when a file of it is missing.
 */
export function clientCredentials(config: Config): ChannelCredentials {
  if (config.api.security === 'plaintext') return credentials.createInsecure();
  const files = tlsFiles(config, 'client');
  return credentials.createSsl(
    readPem(files.caFile),
    readPem(files.keyFile),
    readPem(files.certificateFile),
  );
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (thrown) {
    const fix = `cannot be read (${errorText(thrown)}); clients of this cluster need a certificate: ask from where client.pem and client.key.pem are, or bring them here`;
    throw new ConfigError([{ file, path: '', value: undefined, fix }], thrown);
  }
}

/** Where the members of a cluster answer clients, ascending by id. */
export function apiEndpoints(config: Config): MemberEndpoint[] {
  return config.members.map(({ id, host, ports }) => ({
    id,
    address: host.includes(':') ? `[${host}]:${ports.api}` : `${host}:${ports.api}`,
  }));
}
