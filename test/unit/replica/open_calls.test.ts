import { describe, expect, it } from 'vitest';
import { HostedService } from '../../../src/replica/hosted_service.ts';
import type { MemberHost } from '../../../src/replica/member_host.ts';
import { type CallKind, OpenCalls } from '../../../src/replica/open_calls.ts';
import { memberRecord } from '../ledger/chain_fixture.ts';

const never = new Promise<never>(() => undefined);
const { signal } = new AbortController();

/** Stands for a host whose member never answers. */
function silentHost(open: OpenCalls): Pick<MemberHost, 'now' | 'call' | 'watchReadiness'> {
  return {
    now: () => {
      throw new Error('nobody asks it');
    },
    call: (kind: CallKind) => open.wait(never, kind),
    watchReadiness: () => () => undefined,
  };
}

describe('calls of a member that is stopped to install a snapshot', () => {
  it('answers what changes something as unknown: it may have reached the leader', async () => {
    const open = new OpenCalls();
    const service = new HostedService(silentHost(open));
    const addition = { record: memberRecord(4), promotion: 'automatic' } as const;
    const changes = [
      service.submit([], signal),
      service.transferLeadership(2, signal),
      service.addMember(addition, signal),
      service.replaceMember(3, addition, signal),
      service.promoteMember(4, signal),
      service.removeMember(3, signal),
      service.updateMember(memberRecord(2), signal),
    ];
    open.interrupt();
    for (const change of changes)
      await expect(change).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  it('answers reads as not ready, so that another member is asked', async () => {
    const open = new OpenCalls();
    const service = new HostedService(silentHost(open));
    const reads = [
      service.height({ consistency: 'linearizable', signal }),
      service.committed(new Uint8Array(32), signal),
      service.applied(1, signal),
    ];
    open.interrupt();
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'NOT_READY' });
  });

  it('leaves those alone that have their answer, and those that come later', async () => {
    const open = new OpenCalls();
    expect(await open.wait(Promise.resolve(1), 'change')).toBe(1);
    await expect(open.wait(Promise.reject(new Error('no')), 'read')).rejects.toThrow('no');
    open.interrupt();
    const later = open.wait(Promise.resolve(2), 'read');
    expect(await later).toBe(2);
  });
});
