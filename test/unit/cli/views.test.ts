import { describe, expect, test } from 'vitest';
import { DemoView } from '../../../src/cli/demo_view.ts';
import { etherText } from '../../../src/cli/ether_text.ts';
import { statusTable } from '../../../src/cli/status.ts';
import { grouped, tableText } from '../../../src/cli/table.ts';
import type { DemoProgress, DemoStep } from '../../../src/lab/demo.ts';
import type { StatusMessage } from '../../../src/lab/node_service.ts';

const status: StatusMessage = {
  clusterId: 'local-3',
  chainId: '1337',
  genesisHash: Buffer.alloc(32),
  memberId: 2,
  role: 'MEMBER_ROLE_LEADER',
  term: '4',
  leaderId: 2,
  commitIndex: '120',
  appliedIndex: '118',
  height: '30',
  stateRoot: Buffer.alloc(32, 0xab),
  stateRootHeight: '29',
  members: [],
  mempoolSize: '12',
  fencedReason: '',
  ready: true,
  pid: 4711,
  version: '1',
};

test('columns are as wide as their widest cell, numbers to the right', () => {
  const text = tableText([
    ['name', 'count'],
    ['a', '5'],
    ['longer', '1,000'],
  ]);
  expect(text).toBe('name    count\na           5\nlonger  1,000');
});

test('numbers are grouped, wei is told in ether', () => {
  expect(grouped(1234567.8)).toBe('1,234,568');
  expect(etherText(1_500_000_000_000_000_000n)).toBe('1.5 ether');
  expect(etherText(0n)).toBe('0 ether');
  expect(etherText(1n)).toBe('0.000000000000000001 ether');
});

test('a member that does not answer is shown as such', () => {
  const [, first, second] = statusTable([
    { id: 1, address: '127.0.0.1:7111', status: undefined },
    { id: 2, address: '127.0.0.1:7121', status },
  ]).split('\n');
  expect(first).toMatch(/1 {2}127\.0\.0\.1:7111 {2}unreachable/);
  expect(second).toMatch(/leader +4 +120 +118 +30 +0xabababababab… @29 +2 +12 +4711/);
});

describe('the progress of a demonstration', () => {
  const progress = (step: DemoStep, acknowledged: number): DemoProgress => ({
    step,
    total: 100,
    sent: acknowledged + 5,
    acknowledged,
    ratePerSecond: 50,
    members: [{ id: 2, address: '127.0.0.1:7121', status }],
    killed: acknowledged < 50 ? undefined : { id: 1, runsAgain: false },
  });

  function written(isTTY: boolean, shown: DemoProgress[]): string {
    let text = '';
    let nowMs = 0;
    const view = new DemoView(
      {
        isTTY,
        write: (part) => {
          text += part;
        },
      },
      () => nowMs,
    );
    for (const one of shown) {
      view.show(one);
      nowMs += 400;
    }
    return text;
  }

  test('elsewhere than on a terminal it is plain lines, once a second', () => {
    const text = written(false, [
      progress('starting', 0),
      progress('running', 0),
      progress('running', 10),
      progress('running', 20),
      progress('running', 30),
      progress('running', 60),
    ]);
    expect(text.split('\n')).toEqual([
      'starting the members',
      'submitting transactions to all members',
      '0 of 100 acknowledged, 5 sent, 50/s, height 30, member 2 leads',
      '30 of 100 acknowledged, 35 sent, 50/s, height 30, member 2 leads',
      'member 1 was killed (SIGKILL)',
      '',
    ]);
  });

  test('on a terminal one block is drawn again', () => {
    const text = written(true, [progress('running', 10), progress('running', 20)]);
    expect(text.match(/acknowledged/g)?.length).toBe(2);
    const drawnLines = text.split('\u001b')[1]?.split('\n').length ?? 0;
    expect(text).toContain(`\u001b[${drawnLines - 1}A`);
  });
});
