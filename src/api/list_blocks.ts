import { HASH_BYTES, type Height } from '../types/primitives.ts';
import type { BlockView } from '../types/views.ts';
import type { NodeBackend } from './backend.ts';
import { consistencyField, detailField, invalid, safeIntegerField } from './request_fields.ts';
import { blockWire, type Wire } from './responses.ts';
import type { ListBlocksRequest } from './wire.ts';

const PAGE_SIZE_DEFAULT = 50;
/** A page ends with the block that reaches this, so that it stays below the usual 4 MiB of a message. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
const FIRST_HEIGHT = 1;
/** Names the form of the token, so that an older one can be told apart from it. */
const TOKEN_PREFIX = 'height:';
const TOKEN_PATTERN = /^height:([1-9][0-9]{0,15})$/;

/** ListBlocks: ascending heights from the token or the request, as many as fit in the page. */
export async function listBlocks(
  backend: NodeBackend,
  request: ListBlocksRequest,
  options: { pageSizeMax: number; signal: AbortSignal },
): Promise<Wire> {
  const { pageSizeMax, signal } = options;
  const pageSize = pageSizeField(request.pageSize, pageSizeMax);
  const detail = detailField(request.detail);
  const consistency = consistencyField(request.consistency);
  const first = firstHeight(request);
  const appliedHeight = await backend.height({ consistency, signal });
  const blocks: Wire[] = [];
  let next = first;
  let pageBytes = 0;
  while (next <= appliedHeight && blocks.length < pageSize && pageBytes < PAGE_BYTES_MAX) {
    const selector = { by: 'height', height: next } as const;
    const { value } = await backend.block(selector, detail, { consistency: 'local', signal });
    blocks.push(blockWire(value));
    pageBytes += approximateBytes(value);
    next += 1;
  }
  const nextPageToken = next <= appliedHeight ? pageToken(next) : '';
  return { height: appliedHeight, blocks, nextPageToken };
}

function pageSizeField(pageSize: number, pageSizeMax: number): number {
  if (pageSize < 0 || pageSize > pageSizeMax)
    throw invalid('page_size', `1 to ${pageSizeMax}, or 0 for the default`);
  return pageSize === 0 ? Math.min(PAGE_SIZE_DEFAULT, pageSizeMax) : pageSize;
}

function firstHeight(request: ListBlocksRequest): Height {
  if (request.pageToken === '')
    return Math.max(FIRST_HEIGHT, safeIntegerField(request.fromHeight, 'from_height'));
  const text = Buffer.from(request.pageToken, 'base64url').toString('latin1');
  const height = Number(TOKEN_PATTERN.exec(text)?.[1]);
  if (!Number.isSafeInteger(height))
    throw invalid('page_token', 'the next_page_token of an earlier page, unchanged');
  return height;
}

function pageToken(height: Height): string {
  return Buffer.from(`${TOKEN_PREFIX}${height}`, 'latin1').toString('base64url');
}

function approximateBytes(block: BlockView): number {
  // The header is sent twice: decoded and encoded.
  let bytes = 2 * block.encodedHeader.length + block.transactionHashes.length * HASH_BYTES;
  for (const transaction of block.transactions ?? []) bytes += transaction.length;
  return bytes;
}
