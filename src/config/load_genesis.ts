import { resolve } from 'node:path';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { compareBytes } from '../lib/bytes.ts';
import type { Genesis } from '../types/genesis.ts';
import { ADDRESS_BYTES } from '../types/primitives.ts';
import { ConfigError } from './config_error.ts';
import { deepFreeze } from './deep_freeze.ts';
import { genesisRelationProblems, type SoundGenesisParts } from './genesis_relations.ts';
import { type GenesisFile, genesisSchema } from './genesis_schema.ts';
import { problemIn, schemaProblems } from './schema_problems.ts';
import { parseYaml, readYamlFile, type YamlSource } from './yaml_source.ts';

/** Largest genesis file that is read. */
export const GENESIS_FILE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Reads a genesis file (YAML or JSON) and checks everything but whether the validators' keys are points of the curve.
 * Throws a ConfigError that holds all problems found.
 */
export async function loadGenesis(file: string): Promise<Genesis> {
  return genesisFrom(await readYamlFile(resolve(file), GENESIS_FILE_BYTES_MAX));
}

/** The same for a text in memory; `file` is only for messages. */
export function parseGenesis(text: string, file: string): Genesis {
  return genesisFrom(parseYaml(text, file));
}

function genesisFrom(source: YamlSource): Genesis {
  const parsed = genesisSchema.safeParse(source.data);
  const placed = [
    ...(parsed.success ? [] : schemaProblems(parsed.error, genesisSchema)),
    ...genesisRelationProblems(parsed.success ? parsed.data : soundParts(source.data)),
  ];
  const problems = placed.map((problem) => problemIn(source, problem));
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(build(parsed.data));
}

function build({ chainId, timestamp, parameters, validators, accounts }: GenesisFile): Genesis {
  return {
    chainId,
    timestampMs: timestamp,
    parameters,
    validators: validators.map((validator) => ({
      address: keccak_256(validator.publicKey).slice(-ADDRESS_BYTES),
      ...validator,
    })),
    accounts: accounts
      .map(({ storage, ...account }) => ({
        ...account,
        storage: storage.toSorted((left, right) => compareBytes(left.slot, right.slot)),
      }))
      .toSorted((left, right) => compareBytes(left.address, right.address)),
  };
}

function soundParts(data: unknown): SoundGenesisParts {
  if (typeof data !== 'object' || data === null) return {};
  const values = data as Record<string, unknown>;
  const parts: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(genesisSchema.shape)) {
    const parsed = schema.safeParse(values[key]);
    if (parsed.success) parts[key] = parsed.data;
  }
  return parts;
}
