import { type Configuration, decodeConfiguration } from '../types/configuration.ts';
import type { Entry, EntryType } from '../types/entry.ts';
import { malformedMessage } from './error.ts';
import type { Append, AppendReply, Message } from './messages.ts';
import { ENTRY_DATA_BYTES_MAX } from './options.ts';
import { VARINT_BYTES_MAX, VarintReader, VarintWriter } from './varint.ts';

/** First byte of every message. A member refuses what it does not know. */
const MESSAGE_VERSION = 1;
/** Number on the wire: position in this list + 1. Only ever appended to. */
const MESSAGE_TYPES: readonly Message['type'][] = [
  'preVote',
  'preVoteReply',
  'vote',
  'voteReply',
  'append',
  'appendReply',
  'heartbeat',
  'heartbeatReply',
  'readIndex',
  'readIndexReply',
  'timeoutNow',
  'installSnapshot',
];
const ENTRY_TYPES: readonly EntryType[] = ['noop', 'command', 'configuration'];

/** Larger messages are refused; what the leader sends stays far below by its own limits. */
const MESSAGE_BYTES_MAX = 4 * ENTRY_DATA_BYTES_MAX;
/** Bound of everything in a message besides its entries. */
const FIXED_BYTES_MAX = 2 + 12 * VARINT_BYTES_MAX;

/**
 * The canonical bytes of a message: version, type, then its fields as minimal LEB128 integers in
 * their declared order; entries carry their term as the difference to the one before.
 */
export function encodeMessage(message: Message): Uint8Array {
  let bytesMax = FIXED_BYTES_MAX;
  if (message.type === 'append')
    for (const entry of message.entries) bytesMax += entry.data.length + 3 * VARINT_BYTES_MAX;
  const writer = new VarintWriter(bytesMax);
  writer.byte(MESSAGE_VERSION);
  writer.byte(MESSAGE_TYPES.indexOf(message.type) + 1);
  writer.number(message.from);
  writer.number(message.to);
  writer.number(message.term);
  writeFields(writer, message);
  return writer.finish();
}

/** Throws MALFORMED_MESSAGE unless the bytes are exactly one canonical message. Data are views of `bytes`. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > MESSAGE_BYTES_MAX)
    throw malformedMessage(`${bytes.length} bytes are too many`);
  const reader = new VarintReader(bytes);
  const version = reader.byte();
  if (version !== MESSAGE_VERSION) throw malformedMessage(`version ${version} is unknown`);
  const type = MESSAGE_TYPES[reader.byte() - 1];
  if (type === undefined) throw malformedMessage('the type is unknown');
  const header = { from: reader.number(), to: reader.number(), term: reader.number() };
  if (header.from === 0 || header.to === 0) throw malformedMessage('member ids start at 1');
  const message = readFields(reader, type, header);
  reader.end();
  return message;
}

function writeFields(writer: VarintWriter, message: Message): void {
  switch (message.type) {
    case 'preVote':
    case 'vote':
      writer.number(message.lastIndex);
      writer.number(message.lastTerm);
      if (message.type === 'vote') writer.flag(message.transfer);
      return;
    case 'preVoteReply':
      writer.number(message.askedTerm);
      writer.flag(message.granted);
      return;
    case 'voteReply':
      writer.flag(message.granted);
      return;
    case 'append':
      writeAppend(writer, message);
      return;
    case 'appendReply':
      writeAppendReply(writer, message);
      return;
    case 'heartbeat':
      writer.number(message.commit);
      writer.number(message.readRound);
      return;
    case 'heartbeatReply':
      writer.number(message.readRound);
      writer.flag(message.eligible);
      writer.number(message.leaseMs);
      return;
    case 'readIndex':
    case 'readIndexReply':
      writer.number(message.session);
      writer.number(message.batch);
      if (message.type === 'readIndexReply') writer.optional(message.index);
      return;
    case 'timeoutNow':
      writer.number(message.lastIndex);
      return;
    case 'installSnapshot':
      writer.number(message.index);
  }
}

type HeaderFields = Pick<Message, 'from' | 'to' | 'term'>;

function readFields(reader: VarintReader, type: Message['type'], header: HeaderFields): Message {
  switch (type) {
    case 'preVote':
      return { type, ...header, lastIndex: reader.number(), lastTerm: reader.number() };
    case 'vote': {
      const position = { lastIndex: reader.number(), lastTerm: reader.number() };
      return { type, ...header, ...position, transfer: reader.flag() };
    }
    case 'preVoteReply':
      return { type, ...header, askedTerm: reader.number(), granted: reader.flag() };
    case 'voteReply':
      return { type, ...header, granted: reader.flag() };
    case 'append':
      return readAppend(reader, header);
    case 'appendReply':
      return readAppendReply(reader, header);
    case 'heartbeat':
      return { type, ...header, commit: reader.number(), readRound: reader.number() };
    case 'heartbeatReply': {
      const answer = { readRound: reader.number(), eligible: reader.flag() };
      return { type, ...header, ...answer, leaseMs: reader.number() };
    }
    case 'readIndex':
      return { type, ...header, session: reader.number(), batch: reader.number() };
    case 'readIndexReply': {
      const request = { session: reader.number(), batch: reader.number() };
      return { type, ...header, ...request, index: reader.optional() };
    }
    case 'timeoutNow':
      return { type, ...header, lastIndex: reader.number() };
    case 'installSnapshot':
      return { type, ...header, index: reader.number() };
  }
}

function writeAppend(writer: VarintWriter, message: Append): void {
  writer.number(message.prevIndex);
  writer.number(message.prevTerm);
  writer.number(message.commit);
  writer.number(message.entries.length);
  let term = message.prevTerm;
  for (const entry of message.entries) {
    writer.number(entry.term - term);
    term = entry.term;
    writer.byte(ENTRY_TYPES.indexOf(entry.type));
    writer.bytes(entry.data);
  }
}

function readAppend(reader: VarintReader, header: HeaderFields): Append {
  const prevIndex = reader.number();
  const prevTerm = reader.number();
  const commit = reader.number();
  const count = reader.number();
  // An entry takes at least three bytes: a count beyond that is a lie, not a reason to allocate.
  if (count > reader.remaining / 3) throw malformedMessage(`${count} entries do not fit`);
  if (prevIndex > Number.MAX_SAFE_INTEGER - count)
    throw malformedMessage('an index is not a safe integer');
  const entries: Entry[] = [];
  let term = prevTerm;
  for (let position = 1; position <= count; position += 1) {
    term += reader.number();
    if (term > header.term) throw malformedMessage("an entry's term is above its leader's");
    if (term === 0) throw malformedMessage('entries have a term');
    const type = ENTRY_TYPES[reader.byte()];
    if (type === undefined) throw malformedMessage('the type of an entry is unknown');
    const data = reader.bytes(ENTRY_DATA_BYTES_MAX);
    if (type === 'noop' && data.length > 0) throw malformedMessage('a no-op has no data');
    if (type === 'configuration') checkConfiguration(data);
    entries.push({ index: prevIndex + position, term, type, data });
  }
  if (prevTerm > header.term) throw malformedMessage("prevTerm is above the leader's term");
  return { type: 'append', ...header, prevIndex, prevTerm, commit, entries };
}

/** What the core takes from the log it can rely on. */
function checkConfiguration(data: Uint8Array): void {
  let configuration: Configuration;
  try {
    configuration = decodeConfiguration(data);
  } catch (cause) {
    throw malformedMessage('an entry holds no configuration', cause);
  }
  if (configuration.voters.length === 0) throw malformedMessage('a configuration has no voters');
}

function writeAppendReply(writer: VarintWriter, message: AppendReply): void {
  const { match, conflict } = message;
  writer.flag(conflict !== undefined);
  if (conflict === undefined) {
    writer.number(match);
    return;
  }
  writer.number(conflict.prevIndex);
  writer.number(conflict.hintIndex);
  writer.number(conflict.hintTerm);
}

function readAppendReply(reader: VarintReader, header: HeaderFields): AppendReply {
  const type = 'appendReply';
  if (!reader.flag()) return { type, ...header, match: reader.number(), conflict: undefined };
  const prevIndex = reader.number();
  const conflict = { prevIndex, hintIndex: reader.number(), hintTerm: reader.number() };
  return { type, ...header, match: 0, conflict };
}
