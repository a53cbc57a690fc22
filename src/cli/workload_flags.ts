import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Workload, WorkloadFamily } from '../lab/workload_operation.ts';
import { CliError } from './exit_codes.ts';

/** Which workload a command runs. */
export interface WorkloadFlags {
  readonly workload?: string;
  readonly generate: WorkloadFamily;
  readonly transactions: number;
  readonly conflict: number;
  readonly seed: number;
  readonly orderSensitive?: boolean;
}

/** Adds the options of a generated workload. */
export function withWorkloadFlags(command: Command, transactions: number): Command {
  return command
    .addOption(
      new Option('--generate <kind>', 'what to generate')
        .choices(['wallet', 'voting', 'token', 'payments'])
        .default('wallet'),
    )
    .option('-n, --transactions <n>', 'how many to generate', wholeNumber, transactions)
    .option('--conflict <percent>', 'density of the conflict graph, 0 to 100', percent, 3)
    .option('--seed <n>', 'what the generated workload and its keys follow from', wholeNumber, 1)
    .option('--order-sensitive', 'accounts run dry, so that order decides what fails');
}

/** The workload of a file or a generated one. Throws a CliError. */
export async function workloadOf(flags: WorkloadFlags): Promise<Workload> {
  const { WorkloadError } = await import('../lab/workload_error.ts');
  try {
    if (flags.workload !== undefined) {
      const { readWorkloadFile } = await import('../lab/workload_file.ts');
      return readWorkloadFile(flags.workload);
    }
    const { generateWorkload } = await import('../lab/workload_generator.ts');
    return generateWorkload({
      family: flags.generate,
      transactions: flags.transactions,
      conflictPercent: flags.conflict,
      seed: flags.seed,
      orderSensitive: flags.orderSensitive === true,
    });
  } catch (thrown) {
    if (thrown instanceof WorkloadError) throw new CliError('usage', thrown.message);
    throw thrown;
  }
}

export function wholeNumber(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('give a whole number.');
  return Number(text);
}

function percent(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 100))
    throw new InvalidArgumentError('give a number from 0 to 100.');
  return value;
}
