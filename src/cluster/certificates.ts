import { X509Certificate } from 'node:crypto';
import type { Clock, Logger } from '../lib/environment.ts';
import { errorText } from '../lib/error.ts';
import { FollowedTlsFiles, type TlsFiles } from '../lib/tls_files.ts';
import { identityOfSubjectAltName, memberIdOf } from '../types/certificate_identity.ts';
import type { MemberId } from '../types/entry.ts';
import { ClusterError } from './cluster_error.ts';

interface CertificatesOptions {
  readonly files: TlsFiles;
  readonly owner: { readonly clusterId: string; readonly memberId: MemberId };
}

/** Follows the certificates of this member and takes no one else's. Rejects with CERTIFICATES_UNUSABLE. */
export async function followCertificates(
  options: CertificatesOptions,
  dependencies: { clock: Clock; logger: Logger },
): Promise<FollowedTlsFiles> {
  const { files, owner } = options;
  try {
    return await FollowedTlsFiles.open(
      { files, eventPrefix: 'cluster', check: ({ cert }) => checkOwner(cert, options) },
      dependencies,
    );
  } catch (thrown) {
    if (thrown instanceof ClusterError) throw thrown;
    throw new ClusterError(
      'CERTIFICATES_UNUSABLE',
      `cannot use the certificates of member ${owner.memberId}: ${errorText(thrown)}`,
      { fields: { certificateFile: files.certificateFile }, cause: thrown },
    );
  }
}

function checkOwner(certificatePem: Buffer, { files, owner }: CertificatesOptions): void {
  const { subjectAltName } = new X509Certificate(certificatePem);
  const identity = identityOfSubjectAltName(subjectAltName);
  if (identity?.clusterId === owner.clusterId && memberIdOf(identity) === owner.memberId) return;
  throw new ClusterError(
    'CERTIFICATES_UNUSABLE',
    `${files.certificateFile} is not the certificate of member ${owner.memberId} of cluster ${owner.clusterId} (it names ${subjectAltName ?? 'nobody'})`,
    { fields: { certificateFile: files.certificateFile } },
  );
}
