import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const VECTORS = join(REPOSITORY, '../shared/ethereum-tests');

/** The official vectors, which lie beside the repository and are too large to be part of it. */
export function findEthereumTests(folder: string): { path: string; absent: string | undefined } {
  const path = join(VECTORS, folder);
  const absent = existsSync(path) ? undefined : `skipped: ${relative(REPOSITORY, path)} is absent`;
  return { path, absent };
}

/** Every JSON file below a folder, by its path from there. */
export function jsonFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort();
}

export function readJson<Content>(path: string): Content {
  return JSON.parse(readFileSync(path, 'utf8')) as Content;
}
