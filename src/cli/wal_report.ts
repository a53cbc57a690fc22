import type { LogDamage, LogReport, PlacedRecord } from '../wal/examine.ts';
import { grouped, tableText } from './table.ts';

export const HOW_TO_GO_ON =
  'entries that were acknowledged may be lost, so nothing repairs this log: check the disk, and put a ' +
  'new member in the place of this one with "blockraft members replace"';

/** A log as people read it: whose it is, where it begins and ends, and what is wrong. */
export function reportText(report: LogReport): string {
  const { identity, base, hardState, entries, firstIndex, lastIndex, lastTerm } = report;
  const whose =
    identity === undefined ? '?' : `member ${identity.memberId} of cluster ${identity.clusterId}`;
  const range =
    lastIndex < firstIndex ? 'none' : `${firstIndex} to ${lastIndex}, the last of term ${lastTerm}`;
  const counts = Object.entries(entries).map(([type, count]) => `${grouped(count)} ${type}`);
  const lines = [
    `log         ${report.directory}`,
    `of          ${whose}`,
    `base        ${base.index === 0 ? 'none: kept from its first entry' : `entry ${base.index} of term ${base.term}`}`,
    `entries     ${range} (${counts.join(', ')})`,
    `hard state  term ${hardState.term}, vote ${hardState.vote ?? 'none'}`,
    `ends        ${tailText(report)}`,
    '',
    segmentTable(report),
    '',
    'newest records',
    ...(report.lastRecords.length === 0
      ? ['  none']
      : report.lastRecords.map((placed) => `  ${recordText(placed)}`)),
  ];
  if (report.leftovers.length > 0)
    lines.push('', 'not needed, removed at the next start', ...report.leftovers.map(indented));
  if (report.damage.length > 0)
    lines.push('', 'damage', ...report.damage.map((one) => `  ${damageText(one)}`), HOW_TO_GO_ON);
  return lines.join('\n');
}

export function damageText({ path, offset, problem }: LogDamage): string {
  return `${path} at byte ${offset}: ${problem}`;
}

function tailText({ tail }: LogReport): string {
  if (tail === undefined) return 'unknown, see damage';
  return `${tail.path} at byte ${tail.offset}${unfinishedText({ tail })}`;
}

/** What follows the last record: a power failure leaves it, and so does whoever cuts a log off. */
export function unfinishedText({ tail }: Pick<LogReport, 'tail'>): string {
  if (tail === undefined || tail.remainsBytes === 0) return '';
  return `, then ${grouped(tail.remainsBytes)} bytes of a write that never finished`;
}

function segmentTable({ segments }: LogReport): string {
  const head = ['segment', 'first index', 'records', 'used bytes', 'file bytes'];
  return tableText([
    head,
    ...segments.map(({ sequence, firstIndex, records, endOffset, fileBytes }) =>
      [sequence, firstIndex, records, endOffset, fileBytes].map(String),
    ),
  ]);
}

function recordText({ sequence, offset, record }: PlacedRecord): string {
  const place = `segment ${sequence} byte ${offset}:`;
  if (record.kind === 'hardState')
    return `${place} hard state, term ${record.hardState.term}, vote ${record.hardState.vote ?? 'none'}`;
  const { index, term, type, length } = record;
  return `${place} entry ${index} of term ${term}, ${type}, ${grouped(length)} bytes`;
}

function indented(text: string): string {
  return `  ${text}`;
}
