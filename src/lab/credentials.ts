import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Config, tlsFiles } from '../config/config.ts';
import { ConfigError } from '../config/config_error.ts';
import { errorText } from '../lib/error.ts';
import { hostAndPort } from '../types/membership.ts';
import type { MemberEndpoint } from './processes.ts';

/**
 * What a client of this cluster connects with: its own certificate, or nothing where the API is plaintext. Throws a
 * ConfigError when a file of it is missing.
 */
export function clientCredentials(config: Config): ChannelCredentials {
  if (config.api.security === 'plaintext') return credentials.createInsecure();
  return mutualTls(config, 'client');
}

/** What an operator of this cluster connects with. Throws a ConfigError when a file of it is missing. */
export function operatorCredentials(config: Config): ChannelCredentials {
  return mutualTls(config, 'operator');
}

function mutualTls(config: Config, name: 'client' | 'operator'): ChannelCredentials {
  const files = tlsFiles(config, name);
  const read = (file: string): Buffer => readPem(file, name);
  return credentials.createSsl(
    read(files.caFile),
    read(files.keyFile),
    read(files.certificateFile),
  );
}

function readPem(file: string, name: string): Buffer {
  try {
    return readFileSync(file);
  } catch (thrown) {
    const fix = `cannot be read (${errorText(thrown)}); ${name}s of this cluster need a certificate: ask from where ${name}.pem and ${name}.key.pem are, or bring them here`;
    throw new ConfigError([{ file, path: '', value: undefined, fix }], thrown);
  }
}

/** Where the members of a cluster answer clients, ascending by id. */
export function apiEndpoints(config: Config): MemberEndpoint[] {
  return config.members.map(({ id, host, ports }) => ({
    id,
    address: hostAndPort(host, ports.api),
  }));
}

/** Where the members of a cluster answer operators, ascending by id. */
export function adminEndpoints(config: Config): MemberEndpoint[] {
  return config.members.map(({ id, host, ports }) => ({
    id,
    address: hostAndPort(host, ports.admin),
  }));
}
