import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// Lints the repository itself: what the compiler and the linter cannot see.

const root = join(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));

const isText = (file: string): boolean =>
  /\.(ts|md|json|yaml|yml|proto|sol|sh)$/.test(file) && !/package-lock|artifacts\//.test(file);
const textFiles = files.filter(isText);
const sources = files.filter((file) => /^(src|test|scripts)\/.*\.ts$/.test(file));

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** `file:line` of every line that the pattern matches. */
function findings(among: readonly string[], pattern: RegExp): string[] {
  return among.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [],
      ),
  );
}

describe('tidy', () => {
  it('has only the agreed folders and files at the top', () => {
    const tops = new Set(files.map((file) => file.split('/')[0] as string));
    const expected = [
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'biome.json',
      'buf.yaml',
      'knip.json',
      'vitest.config.ts',
      'LICENSE',
      'proto',
      'src',
      'test',
      'cluster-configs',
      'scripts',
      'docs',
      'deploy',
      'README.md',
    ];
    const strangers = [...tops].filter((top) => !top.startsWith('.') && !expected.includes(top));
    expect(strangers).toEqual([]);
  });

  it('keeps every source file to one subject: at most 450 lines', () => {
    const long = sources.filter((file) => read(file).split('\n').length > 450);
    expect(long).toEqual([]);
  });

  it('names files in lower_snake_case', () => {
    const pattern = /^[a-z0-9_]+(\.test)?\.ts$/;
    expect(sources.filter((file) => !pattern.test(file.split('/').at(-1) as string))).toEqual([]);
  });

  it('keeps the folders of src flat', () => {
    const nested = sources.filter(
      (file) => /^src\/[^/]+\/.+\//.test(file) && !file.startsWith('src/lab/contracts/'),
    );
    expect(nested).toEqual([]);
  });

  it('carries no leftovers', () => {
    const marks = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|');
    expect(findings(textFiles, new RegExp(`\\b(${marks})\\b`))).toEqual([]);
    expect(findings(sources, /\b(it|test|describe)\.only\(/)).toEqual([]);
    expect(findings(sources, /@ts-(ignore|nocheck)/)).toEqual([]);
  });

  it('never retries a test', () => {
    expect(
      findings(
        sources.filter((file) => file.endsWith('.test.ts')),
        /\bretry:\s*[1-9]/,
      ),
    ).toEqual([]);
  });

  it('speaks of no machine and of no package host', () => {
    const places = new RegExp(
      `(^|[^a-z.\\w])/(wo${'rk'}|ro${'ot'})/|registry\\.[a-z-]+\\.(org|com|io|dev|net)`,
    );
    expect(findings(textFiles, places)).toEqual([]);
    expect(read('package-lock.json')).not.toMatch(/"resolved": "http/);
  });

  it('ends every text file with one newline and no line with blanks', () => {
    const ragged = textFiles.filter((file) => !/[^\n]\n$/.test(read(file)));
    expect(ragged).toEqual([]);
    expect(
      findings(
        textFiles.filter((file) => !file.endsWith('.md')),
        /[ \t]$/,
      ),
    ).toEqual([]);
  });

  it('justifies every dependency in docs/adr', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json'));
    const adr = read('docs/adr/0002-dependencies.md');
    const missing = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !adr.includes(`\`${name}\``),
    );
    expect(missing).toEqual([]);
  });

  it('documents only files that exist', () => {
    const missing = files
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) =>
        [...read(file).matchAll(/`((?:src|test|docs|proto|cluster-configs|scripts)\/[^`\s*<>]+)`/g)]
          .map((match) => match[1] as string)
          .filter((target) => !existsSync(join(root, target)))
          .map((target) => `${file}: ${target}`),
      );
    expect(missing).toEqual([]);
  });
});
