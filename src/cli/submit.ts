import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addressText } from '../config/address_text.ts';
import { parseAmount } from '../config/amount.ts';
import type { NodeClient } from '../lab/client.ts';
import type { ReceiptMessage, SubmissionMessage } from '../lab/node_service.ts';
import { fromHex, toPrefixedHex } from '../lib/bytes.ts';
import { errorText } from '../lib/error.ts';
import { requireAddress } from './account.ts';
import { type ClusterFlags, printJson, withClient, withClusterFlags } from './cluster_flags.ts';
import { CliError } from './exit_codes.ts';
import { examples } from './help.ts';

interface Flags extends ClusterFlags {
  readonly fromKeyFile?: string;
  readonly to?: string;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly gasLimit?: bigint;
  readonly nonce?: bigint;
  readonly wait: 'admitted' | 'committed';
  readonly json?: boolean;
}

const SECRET_KEY_BYTES = 32;
const GWEI = 10n ** 9n;
/** What an estimate may fall short by when other transactions come first: one part in this many. */
const GAS_MARGIN_PARTS = 5n;

export function registerSubmit(program: Command): void {
  withClusterFlags(
    program
      .command('submit')
      .summary('submit a signed transaction, or sign one and submit it')
      .description(
        'Submits the EIP-2718 bytes of a signed transaction, or signs an EIP-1559 transaction with a key ' +
          'file: nonce, fees and gas limit are asked from the cluster unless given. Exit status 1 when its ' +
          'execution failed in its block, 4 when it was refused, 5 when its outcome is unknown: submitting ' +
          'the same again is harmless.',
      )
      .argument('[transaction]', '0x and hex digits of a signed transaction'),
  )
    .option('--from-key-file <file>', 'sign with the secret key in this file (64 hex digits)')
    .option('--to <address>', 'recipient; without one a contract is created from --data')
    .addOption(
      new Option('--value <amount>', 'wei, or an amount like "1.5 ether"')
        .argParser(amount)
        .default(0n, '0'),
    )
    .addOption(
      new Option('--data <hex>', 'call data, or the code that creates a contract')
        .argParser(hex)
        .default(new Uint8Array(0), 'none'),
    )
    .option('--gas-limit <n>', 'instead of an estimate', wholeNumber)
    .option('--nonce <n>', 'instead of the next one', wholeNumber)
    .addOption(
      new Option('--wait <level>', 'durable on a majority, or in a block')
        .choices(['admitted', 'committed'])
        .default('committed'),
    )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples([
        ['blockraft submit 0x02f8…', 'a transaction that a wallet signed'],
        [
          'blockraft submit --from-key-file key --to 0x52908400098527886E0F7030069857D2E4169EE7 --value "1 ether"',
          'a payment',
        ],
      ]),
    )
    .action(async (transaction: string | undefined, flags: Flags) => {
      const raw = transaction === undefined ? undefined : rawTransaction(transaction);
      if ((raw === undefined) === (flags.fromKeyFile === undefined))
        throw new CliError('usage', 'give either a signed transaction or --from-key-file');
      if (raw === undefined && flags.to === undefined && flags.data.length === 0)
        throw new CliError('usage', 'give --to, or the code of a new contract as --data');
      await withClient(flags, async (client) => {
        const signed = raw ?? (await signWith(client, flags));
        const wait = flags.wait === 'committed' ? 'WAIT_LEVEL_COMMITTED' : 'WAIT_LEVEL_ADMITTED';
        const submission = await client.submit(signed, wait);
        const receipt =
          submission.inclusion === null ? undefined : await client.receipt(submission.hash);
        const shown = shownOf(submission, receipt);
        if (flags.json) printJson(shown);
        else console.log(submissionText(shown));
        if (shown.succeeded === false)
          throw new CliError(
            'failure',
            'its execution failed: it paid for its gas and did nothing',
          );
      });
    });
}

/** What `--json` prints. */
interface ShownSubmission {
  readonly hash: string;
  readonly state: string;
  readonly alreadyKnown: boolean;
  readonly height: number | null;
  readonly index: number | null;
  /** Null until it is in a block, as all that follows. */
  readonly succeeded: boolean | null;
  readonly gasUsed: number | null;
  /** Null when it created none. */
  readonly contract: string | null;
}

function shownOf(
  submission: SubmissionMessage,
  receipt: ReceiptMessage | undefined,
): ShownSubmission {
  const contract = receipt?.contractAddress ?? new Uint8Array(0);
  return {
    hash: toPrefixedHex(submission.hash),
    state: submission.state.replace('TRANSACTION_STATE_', '').toLowerCase(),
    alreadyKnown: submission.alreadyKnown,
    height: submission.inclusion === null ? null : Number(submission.inclusion.height),
    index: submission.inclusion?.index ?? null,
    succeeded: receipt?.succeeded ?? null,
    gasUsed: receipt === undefined ? null : Number(receipt.gasUsed),
    contract: contract.length === 0 ? null : addressText(contract),
  };
}

function submissionText(shown: ShownSubmission): string {
  const { hash, state, height, index, contract } = shown;
  const where = height === null ? '' : ` in block ${height} at ${index}`;
  return `${hash} ${state}${where}${contract === null ? '' : `, contract ${contract}`}`;
}

async function signWith(client: NodeClient, flags: Flags): Promise<Uint8Array> {
  const { addressOf, signTransaction } = await import('../crypto/transaction.ts');
  const { bigIntToBytes } = await import('../lib/bytes.ts');
  const secretKey = readKey(flags.fromKeyFile ?? '');
  const from = addressOf(secretKey);
  const to = flags.to === undefined ? undefined : await requireAddress(flags.to);
  const { value, data } = flags;
  const [status, account, latest] = await Promise.all([
    client.status(),
    client.account(from),
    client.block('latest'),
  ]);
  const recipient = to === undefined ? {} : { to };
  const estimate =
    flags.gasLimit ??
    (await client.estimateGas({ from, ...recipient, value: bigIntToBytes(value), data }));
  const baseFee = latest?.header.baseFeePerGas ?? GWEI;
  return signTransaction(
    {
      type: 2,
      chainId: BigInt(status.chainId),
      nonce: flags.nonce ?? account.pendingNonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: baseFee * 2n + 1n,
      gasLimit: flags.gasLimit ?? withMargin(estimate, data),
      to,
      value,
      data,
      accessList: [],
    },
    secretKey,
  );
}

/** A plain transfer costs the same whatever comes first. */
function withMargin(estimate: bigint, data: Uint8Array): bigint {
  return data.length === 0 ? estimate : estimate + estimate / GAS_MARGIN_PARTS;
}

/** Reads a secret key: 64 hex digits, with or without 0x. Throws a CliError that does not repeat them. */
export function readKey(file: string): Uint8Array {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (thrown) {
    throw new CliError('usage', `the key file ${file} cannot be read: ${errorText(thrown)}`);
  }
  const key = fromHex(text);
  if (key?.length !== SECRET_KEY_BYTES)
    throw new CliError('usage', `the key file ${file} must hold 64 hex digits and nothing else`);
  return key;
}

function rawTransaction(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw new CliError('usage', 'a signed transaction is 0x and whole bytes of hex');
}

function amount(text: string): bigint {
  const wei = parseAmount(text);
  if (wei === undefined) throw new InvalidArgumentError('give wei, or an amount like "1.5 ether".');
  return wei;
}

function hex(text: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === undefined) throw new InvalidArgumentError('give 0x and whole bytes of hex.');
  return bytes;
}

function wholeNumber(text: string): bigint {
  if (!/^[0-9]{1,19}$/.test(text)) throw new InvalidArgumentError('give a whole number.');
  return BigInt(text);
}
