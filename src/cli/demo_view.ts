import type { DemoProgress, DemoResult, DemoStep } from '../lab/demo.ts';
import { roleName } from './status.ts';
import { grouped, tableText } from './table.ts';

/** Where the view writes. */
export interface Screen {
  /** Whether lines can be drawn again. */
  readonly isTTY?: boolean;
  /** Width of the terminal. */
  readonly columns?: number;
  write(text: string): void;
}

const BAR_WIDTH = 40;
const COLUMNS_DEFAULT = 80;
const PLAIN_INTERVAL_MS = 1_000;
const CURSOR_UP = (lines: number): string => `\u001b[${lines}A`;
const CLEAR_DOWN = '\u001b[0J';

const STEP_TEXT: Record<DemoStep, string> = {
  starting: 'starting the members',
  preparing: 'creating the contract, funding signers, running the set-up',
  running: 'submitting transactions to all members',
  draining: 'waiting until everything is in blocks',
  'catching-up': 'waiting until all members have caught up',
  auditing: 'auditing from outside',
  done: 'done',
};

/** Live progress: one block that is drawn again on a terminal, plain lines elsewhere. */
export class DemoView {
  readonly #screen: Screen;
  readonly #nowMs: () => number;
  #drawnLines = 0;
  #step: DemoStep | undefined;
  #toldKill = '';
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(screen: Screen, nowMs: () => number) {
    this.#screen = screen;
    this.#nowMs = nowMs;
  }

  show(progress: DemoProgress): void {
    if (this.#screen.isTTY === true) this.#draw(progressLines(progress));
    else this.#tell(progress);
  }

  /** Leaves what is drawn where it is. */
  end(): void {
    this.#drawnLines = 0;
  }

  #draw(lines: readonly string[]): void {
    // A line that wraps would count as two, and the next drawing would begin in its middle.
    const cut = lines.map((line) => line.slice(0, this.#screen.columns ?? COLUMNS_DEFAULT));
    const back = this.#drawnLines === 0 ? '' : CURSOR_UP(this.#drawnLines);
    this.#screen.write(`${back}${CLEAR_DOWN}${cut.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #tell(progress: DemoProgress): void {
    if (progress.step !== this.#step) {
      this.#step = progress.step;
      this.#screen.write(`${STEP_TEXT[progress.step]}\n`);
    }
    const kill = killText(progress);
    if (kill !== this.#toldKill) {
      this.#toldKill = kill;
      this.#screen.write(`${kill}\n`);
    }
    const nowMs = this.#nowMs();
    if (progress.step !== 'running' || nowMs - this.#toldAtMs < PLAIN_INTERVAL_MS) return;
    this.#toldAtMs = nowMs;
    this.#screen.write(`${countsText(progress)}, ${leaderText(progress)}\n`);
  }
}

function progressLines(progress: DemoProgress): string[] {
  const share = progress.total === 0 ? 0 : progress.acknowledged / progress.total;
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const members = progress.members.map(({ id, status }) =>
    status === undefined
      ? `  member ${id}  ${absenceText(id, progress)}`
      : `  member ${id}  ${roleName(status.role).padEnd(9)}  term ${status.term}  height ${status.height}  pending ${status.mempoolSize}  pid ${status.pid}`,
  );
  return [
    STEP_TEXT[progress.step],
    `  ${bar} ${Math.floor(share * 100)} %`,
    `  ${countsText(progress)}`,
    ...members,
    killText(progress),
  ];
}

function absenceText(id: number, { killed }: DemoProgress): string {
  return killed?.id === id && !killed.runsAgain ? 'killed' : 'starting';
}

function countsText({ sent, acknowledged, total, ratePerSecond }: DemoProgress): string {
  return `${grouped(acknowledged)} of ${grouped(total)} acknowledged, ${grouped(sent)} sent, ${grouped(ratePerSecond)}/s`;
}

function leaderText({ members }: DemoProgress): string {
  const leader = members.find(({ status }) => status?.role === 'MEMBER_ROLE_LEADER');
  const height = Math.max(...members.map(({ status }) => Number(status?.height ?? 0)));
  return `height ${height}, ${leader === undefined ? 'no leader' : `member ${leader.id} leads`}`;
}

function killText({ killed }: DemoProgress): string {
  if (killed === undefined) return '';
  return killed.runsAgain
    ? `member ${killed.id} was killed (SIGKILL) and started again`
    : `member ${killed.id} was killed (SIGKILL)`;
}

/** The verdict for people. */
export function verdictText({ report, audit, killedId }: DemoResult): string {
  const failover =
    report.failoverMs === null
      ? 'nobody was killed'
      : `${report.failoverMs} ms between acknowledgements (member ${killedId} killed)`;
  const numbers = tableText([
    ['transactions', ''],
    ['sent', grouped(report.sent)],
    ['acknowledged', grouped(report.acknowledged)],
    ['committed', grouped(report.committed)],
    ['lost', grouped(report.lost)],
    ['duplicated', grouped(report.duplicated)],
    ['per second', grouped(report.throughputPerSecond)],
  ]);
  const checks = tableText([
    ['audit from outside', '', ''],
    ...audit.checks.map(({ name, holds, detail }) => [name, holds ? 'holds' : 'FAILS', detail]),
  ]);
  const verdict = audit.holds ? 'The audit holds.' : 'THE AUDIT FAILS.';
  return `\n${numbers}\nfailover      ${failover}\nheight        ${report.height}\n\n${checks}\n\n${verdict}`;
}
