import { describe, expect, test } from 'vitest';
import {
  type CertificateIdentity,
  certificateUri,
  identityOfSubjectAltName,
  memberIdOf,
  parseCertificateUri,
} from '../../../src/types/certificate_identity.ts';

const IDENTITIES: CertificateIdentity[] = [
  { clusterId: 'local-3', role: 'member', name: '12' },
  { clusterId: 'a', role: 'operator', name: 'operator' },
  { clusterId: '0-9', role: 'client', name: 'client-7' },
];

test.each(IDENTITIES)('$role $name is written and read back', (identity) => {
  expect(parseCertificateUri(certificateUri(identity))).toEqual(identity);
});

test('only members have an id', () => {
  expect(IDENTITIES.map(memberIdOf)).toEqual([12, undefined, undefined]);
});

test.each([
  '',
  'blockraft://local-3/member',
  'blockraft://local-3/member/0',
  'blockraft://local-3/member/01',
  'blockraft://local-3/member/one',
  'blockraft://local-3/member/1/2',
  'blockraft://local-3/member/1?x',
  'blockraft://local-3/member/9999999999',
  'blockraft://Local-3/member/1',
  'blockraft://local-3-/member/1',
  'blockraft:///member/1',
  'blockraft://local-3/admin/root',
  'blockraft://local-3/operator/',
  ' blockraft://local-3/member/1',
  'blockraft://local-3/member/1\n',
  'spiffe://local-3/member/1',
])('"%s" is nobody', (uri) => {
  expect(parseCertificateUri(uri)).toBeUndefined();
});

describe('a subject alternative name', () => {
  const member = { clusterId: 'local-3', role: 'member', name: '1' };

  test.each([
    'URI:blockraft://local-3/member/1',
    'URI:blockraft://local-3/member/1, IP Address:127.0.0.1, DNS:localhost',
    'DNS:localhost, URI:blockraft://local-3/member/1, IP Address:0:0:0:0:0:0:0:1',
    'DNS:"a, b", URI:blockraft://local-3/member/1',
  ])('%s is member 1', (text) => {
    expect(identityOfSubjectAltName(text)).toEqual(member);
  });

  test.each([
    undefined,
    '',
    'DNS:localhost',
    'URI:blockraft://local-3/member/1, URI:blockraft://local-3/operator/operator',
    'URI:https://example.org, URI:blockraft://local-3/member/1',
    'DNS:"a, URI:blockraft://local-3/member/1"',
    'DNS:"a\\", URI:blockraft://local-3/member/1, DNS:b"',
    'DNS:a", URI:blockraft://local-3/member/1',
    'URI:"blockraft://local-3/member/1"',
    'URI:blockraft://local-3/member/1,DNS:x',
  ])('%s is nobody', (text) => {
    expect(identityOfSubjectAltName(text)).toBeUndefined();
  });
});
