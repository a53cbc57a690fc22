import type { Command } from 'commander';
import { toPrefixedHex } from '../lib/bytes.ts';
import type { Address } from '../types/primitives.ts';
import { type ClusterFlags, printJson, withClient, withClusterFlags } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';

export function registerAccount(program: Command): void {
  withClusterFlags(
    program
      .command('account')
      .summary('show the nonce, balance and code of an account')
      .description('Reads an account as of the last applied block (linearizable).')
      .argument('<address>', '0x and 40 hex digits'),
  )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        [
          'blockraft account 0x52908400098527886E0F7030069857D2E4169EE7',
          'of the cluster in ./cluster',
        ],
      ]),
    )
    .action(async (text: string, flags: ClusterFlags & { json?: boolean }) => {
      const { addressText } = await import('../config/address_text.ts');
      const { etherText } = await import('./ether_text.ts');
      const address = await requireAddress(text);
      const account = await withClient(flags, (client) => client.account(address));
      const shown = {
        address: addressText(address),
        nonce: account.nonce,
        pendingNonce: account.pendingNonce,
        balanceWei: account.balance,
        codeHash: toPrefixedHex(account.codeHash),
        height: account.height,
      };
      if (flags.json) return printJson(shown);
      console.log(`address    ${shown.address}`);
      console.log(`balance    ${etherText(account.balance)} (${account.balance} wei)`);
      console.log(`nonce      ${account.nonce} (next to sign: ${account.pendingNonce})`);
      console.log(`code hash  ${shown.codeHash}`);
      console.log(`height     ${account.height}`);
    });
}

/** Parses an address of the command line. Throws a CliError. */
export async function requireAddress(text: string): Promise<Address> {
  const { parseAddress } = await import('../config/address_text.ts');
  const parsed = parseAddress(text);
  if (typeof parsed === 'string') throw new CliError('usage', `the address ${text} ${parsed}`);
  return parsed;
}
