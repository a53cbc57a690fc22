import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What the repository keeps of one compiled contract. */
export interface ContractArtifact {
  readonly contract: string;
  readonly solc: string;
  readonly abi: readonly object[];
  /** Creation code, 0x-prefixed; constructor arguments are appended to it. */
  readonly bytecode: string;
  /** Code of the account once created, 0x-prefixed. */
  readonly deployedBytecode: string;
}

interface Solc {
  version(): string;
  compile(input: string): string;
}

interface SolcOutput {
  readonly errors?: readonly { readonly formattedMessage: string }[];
  readonly contracts?: Record<
    string,
    Record<
      string,
      {
        readonly abi: readonly object[];
        readonly evm: {
          readonly bytecode: { readonly object: string };
          readonly deployedBytecode: { readonly object: string };
        };
      }
    >
  >;
}

const CONTRACTS_FOLDER = fileURLToPath(new URL('../src/lab/contracts/', import.meta.url));
const ARTIFACTS_FOLDER = `${CONTRACTS_FOLDER}artifacts/`;

/** Where the artefact of a contract lies. */
export function artifactPath(contract: string): string {
  return `${ARTIFACTS_FOLDER}${contract}.json`;
}

/** The exact text of an artefact file. */
export function artifactText(artifact: ContractArtifact): string {
  return `${JSON.stringify(artifact, null, 2)}\n`;
}

/**
 * Compiles every Solidity source of the lab. Without the metadata hash, equal sources give equal
 * bytes wherever they lie. Any warning is an error.
 */
export function compileContracts(): ContractArtifact[] {
  const solc = createRequire(import.meta.url)('solc') as Solc;
  const files = readdirSync(CONTRACTS_FOLDER).filter((file) => file.endsWith('.sol'));
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(
      files.map((file) => [file, { content: readFileSync(`${CONTRACTS_FOLDER}${file}`, 'utf8') }]),
    ),
    settings: {
      optimizer: { enabled: true, runs: 10_000 },
      evmVersion: 'cancun',
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode', 'evm.deployedBytecode'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as SolcOutput;
  if (output.errors !== undefined && output.errors.length > 0)
    throw new Error(output.errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  return Object.values(output.contracts ?? {})
    .flatMap((contracts) => Object.entries(contracts))
    .map(([contract, { abi, evm }]) => ({
      contract,
      solc: solc.version(),
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    }));
}

if (import.meta.main) {
  mkdirSync(ARTIFACTS_FOLDER, { recursive: true });
  for (const artifact of compileContracts()) {
    writeFileSync(artifactPath(artifact.contract), artifactText(artifact));
    console.log(`${artifact.contract}: ${artifact.deployedBytecode.length / 2 - 1} bytes of code`);
  }
}
