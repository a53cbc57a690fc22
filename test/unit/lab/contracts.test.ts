import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  artifactPath,
  artifactText,
  compileContracts,
} from '../../../scripts/compile_contracts.ts';

describe('compiled contracts', () => {
  const compiled = compileContracts();

  test('every source has its artefact and no artefact is without a source', () => {
    const files = readdirSync(dirname(artifactPath('any'))).sort();
    expect(files).toEqual(compiled.map(({ contract }) => `${contract}.json`).sort());
  });

  test.each(compiled)('$contract is what its source compiles to', (artifact) => {
    expect(readFileSync(artifactPath(artifact.contract), 'utf8')).toBe(artifactText(artifact));
  });

  test.each(compiled)('$contract says which compiler made it', ({ solc }) => {
    expect(solc).toMatch(/^0\.8\.37\+commit/);
  });
});
