import type { Command } from 'commander';
import type { ServedBlock } from '../lab/client.ts';
import { fromHex, toPrefixedHex } from '../lib/bytes.ts';
import { HASH_BYTES } from '../types/primitives.ts';
import { type ClusterFlags, printJson, withClient, withClusterFlags } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';

const TRANSACTIONS_SHOWN_MAX = 20;

export function registerBlock(program: Command): void {
  withClusterFlags(
    program
      .command('block')
      .summary('show a block')
      .description('Shows a block by height, by id, or the latest.')
      .argument('<which>', 'a height, a block id (0x and 64 hex digits), or "latest"'),
  )
    .option('--json', 'print one JSON object, with every transaction hash')
    .addHelpText(
      'after',
      examples([
        ['blockraft block latest', 'of the cluster in ./cluster'],
        ['blockraft block 42 --json', 'for programs'],
      ]),
    )
    .action(async (which: string, flags: ClusterFlags & { json?: boolean }) => {
      const { addressText } = await import('../config/address_text.ts');
      const selector = parseSelector(which);
      const block = await withClient(flags, (client) => client.block(selector));
      if (block === undefined) throw new CliError('failure', `there is no block ${which}`);
      const shown = blockJson(block, addressText(block.header.proposer));
      if (flags.json) return printJson(shown);
      const { transactions, ...fields } = shown;
      for (const [name, value] of Object.entries(fields))
        console.log(`${name.padEnd(20)} ${String(value)}`);
      console.log(`${'transactions'.padEnd(20)} ${transactions.length}`);
      for (const hash of transactions.slice(0, TRANSACTIONS_SHOWN_MAX)) console.log(`  ${hash}`);
      const rest = transactions.length - TRANSACTIONS_SHOWN_MAX;
      if (rest > 0) console.log(`  and ${rest} more (--json shows all)`);
    });
}

function parseSelector(which: string): number | Uint8Array | 'latest' {
  if (which === 'latest') return which;
  const id = which.startsWith('0x') ? fromHex(which) : undefined;
  if (id?.length === HASH_BYTES) return id;
  const height = Number(which);
  if (/^[0-9]+$/.test(which) && Number.isSafeInteger(height)) return height;
  throw new CliError('usage', `"${which}" is no block: give a height, an id (0x…) or "latest"`);
}

function blockJson({ id, header, commit, transactionHashes }: ServedBlock, proposer: string) {
  return {
    height: header.height,
    id: toPrefixedHex(id),
    parentId: toPrefixedHex(header.parentId),
    time: new Date(header.timestampMs).toISOString(),
    proposer,
    round: commit?.round ?? 0,
    transactionsRoot: toPrefixedHex(header.transactionsRoot),
    stateRoot: toPrefixedHex(header.stateRoot),
    receiptsRoot: toPrefixedHex(header.receiptsRoot),
    gasUsed: header.gasUsed,
    gasLimit: header.gasLimit,
    baseFeePerGas: header.baseFeePerGas,
    transactions: transactionHashes.map(toPrefixedHex),
  };
}
