import { onTestFinished } from 'vitest';
import { type RunningCli, startCli } from './run_cli.ts';

/** One line of a member's log. */
export interface LogEvent {
  readonly time: number;
  readonly msg: string;
  readonly role?: string;
  readonly term?: number;
}

/** A process that the test holds itself, beside those of the harness, to see how it ends. */
export interface OwnProcess extends RunningCli {
  /** What it has written to stdout so far, in whole lines. */
  lines(): string[];
}

/** The test is over only when the process is gone: what it writes must not come back after the clean-up. */
function startOwn(args: readonly string[], endWith: NodeJS.Signals): OwnProcess {
  const running = startCli(args);
  let written = '';
  running.child.stdout?.on('data', (text: string) => {
    written += text;
  });
  onTestFinished(async () => {
    running.child.kill(endWith);
    await running.ended;
  });
  return { ...running, lines: () => written.split('\n').slice(0, -1) };
}

export function startMember(configFile: string, id: number): OwnProcess {
  return startOwn(['member', '--config', configFile, '--id', String(id)], 'SIGKILL');
}

/** All members; killing it would leave them to end later. */
export function startUp(configFile: string): OwnProcess {
  return startOwn(['up', configFile], 'SIGTERM');
}

/** The log of a member. */
export function eventsOf(member: OwnProcess): LogEvent[] {
  return member.lines().map((line) => JSON.parse(line));
}
