import { describe, expect, it } from 'vitest';
import { RootAgreement } from '../../../src/leader/root_agreement.ts';

const root = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

function agreement(voters: number[], outgoing: number[] = []): RootAgreement {
  const made = new RootAgreement({ self: 1 });
  made.configure({ voters, outgoing });
  return made;
}

describe('RootAgreement', () => {
  it('agrees once a majority, itself included, computed the same', () => {
    const roots = agreement([1, 2, 3]);
    expect(roots.agreed(7)).toBeUndefined();
    expect(roots.report(1, 7, root(1))).toBeUndefined();
    expect(roots.agreed(7)).toBeUndefined();
    expect(roots.report(2, 7, root(1))).toBeUndefined();
    expect(roots.agreed(7)).toEqual(root(1));
  });

  it('needs nobody else when the member is alone', () => {
    const roots = agreement([1]);
    roots.report(1, 1, root(9));
    expect(roots.agreed(1)).toEqual(root(9));
  });

  it('never agrees to a root that this member did not compute', () => {
    const roots = agreement([1, 2, 3, 4, 5]);
    roots.report(1, 3, root(1));
    roots.report(2, 3, root(2));
    roots.report(3, 3, root(2));
    expect(roots.agreed(3)).toBeUndefined();
  });

  it('says that this member is wrong when a majority computed another root', () => {
    const roots = agreement([1, 2, 3]);
    roots.report(2, 4, root(2));
    roots.report(3, 4, root(2));
    expect(roots.report(1, 4, root(1))).toEqual({
      height: 4,
      own: root(1),
      other: root(2),
      authority: 'majority',
    });
  });

  it('does not call itself wrong because of a minority', () => {
    const roots = agreement([1, 2, 3]);
    roots.report(1, 4, root(1));
    expect(roots.report(2, 4, root(2))).toBeUndefined();
    expect(roots.report(3, 4, root(1))).toBeUndefined();
    expect(roots.agreed(4)).toEqual(root(1));
  });

  it('gives a decided header precedence over any majority', () => {
    const roots = agreement([1, 2, 3]);
    roots.report(1, 4, root(1));
    roots.report(2, 4, root(1));
    expect(roots.decided(4, root(3))?.authority).toBe('header');
  });

  it('counts voters alone, itself among them only when it votes', () => {
    const roots = agreement([2, 3, 4]);
    roots.report(1, 4, root(1));
    roots.report(2, 4, root(1));
    roots.report(9, 4, root(1));
    expect(roots.agreed(4)).toBeUndefined();
    roots.report(3, 4, root(1));
    expect(roots.agreed(4)).toEqual(root(1));
  });

  it('needs both majorities of a joint configuration, and none before it knows of a cluster', () => {
    const joint = agreement([1, 4, 5], [1, 2, 3]);
    for (const id of [1, 4, 5]) joint.report(id, 4, root(1));
    expect(joint.agreed(4)).toBeUndefined();
    joint.report(3, 4, root(1));
    expect(joint.agreed(4)).toEqual(root(1));
    const joining = agreement([]);
    joining.report(1, 4, root(1));
    expect(joining.report(2, 4, root(2))).toBeUndefined();
    expect(joining.agreed(4)).toBeUndefined();
  });

  it('remembers a bounded number of heights, whatever peers claim', () => {
    const roots = agreement([1, 2, 3]);
    roots.report(1, 10, root(1));
    // Far above: forgotten, so that it counts only when it is said again.
    roots.report(2, 1_000_000, root(5));
    for (let height = 11; height <= 100; height += 1) roots.report(1, height, root(1));
    roots.report(2, 10, root(1));
    expect(roots.agreed(10)).toBeUndefined();
    expect(roots.agreed(1_000_000)).toBeUndefined();
  });
});
