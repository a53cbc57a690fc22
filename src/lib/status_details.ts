/** The content of a google.rpc.Status with one google.rpc.ErrorInfo, as `grpc-status-details-bin` carries it. */
export interface StatusDetails {
  /** A google.rpc.Code. */
  readonly code: number;
  readonly message: string;
  /** UPPER_SNAKE, meaningful within the domain. */
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const ERROR_INFO_TYPE_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** The protobuf bytes of the status. */
export function encodeStatusDetails(details: StatusDetails): Uint8Array {
  const info: Uint8Array[] = [textField(1, details.reason), textField(2, details.domain)];
  for (const [key, value] of Object.entries(details.metadata))
    info.push(bytesField(3, Buffer.concat([textField(1, key), textField(2, value)])));
  const any = Buffer.concat([
    textField(1, ERROR_INFO_TYPE_URL),
    bytesField(2, Buffer.concat(info)),
  ]);
  return Buffer.concat([
    varint(tag(1, VARINT)),
    varint(details.code),
    textField(2, details.message),
    bytesField(3, any),
  ]);
}

/** Undefined when the bytes are no status with an ErrorInfo: a server is free to send something else. */
export function decodeStatusDetails(bytes: Uint8Array): StatusDetails | undefined {
  const status = readFields(bytes);
  for (const any of status?.filter((field) => field.number === 3) ?? []) {
    const anyFields = readFields(any.bytes);
    if (textOf(anyFields, 1) !== ERROR_INFO_TYPE_URL) continue;
    const info = readFields(anyFields?.find((field) => field.number === 2)?.bytes);
    if (info === undefined) return undefined;
    const metadata: Record<string, string> = {};
    for (const entry of info.filter((field) => field.number === 3)) {
      const pair = readFields(entry.bytes);
      metadata[textOf(pair, 1)] = textOf(pair, 2);
    }
    return {
      code: status?.find((field) => field.number === 1)?.value ?? 0,
      message: textOf(status, 2),
      reason: textOf(info, 1),
      domain: textOf(info, 2),
      metadata,
    };
  }
  return undefined;
}

interface Field {
  readonly number: number;
  /** Of a varint; 0 for bytes. */
  readonly value: number;
  /** Empty for a varint. */
  readonly bytes: Uint8Array;
}

function tag(number: number, wireType: number): number {
  return number * 8 + wireType;
}

function textField(number: number, text: string): Uint8Array {
  return bytesField(number, Buffer.from(text, 'utf8'));
}

function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([varint(tag(number, LENGTH_DELIMITED)), varint(bytes.length), bytes]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function textOf(fields: readonly Field[] | undefined, number: number): string {
  const bytes = fields?.find((field) => field.number === number)?.bytes;
  return bytes === undefined ? '' : new TextDecoder().decode(bytes);
}

/** The fields of one message in order; undefined when the bytes are not a message of varints and bytes. */
function readFields(bytes: Uint8Array | undefined): Field[] | undefined {
  if (bytes === undefined) return undefined;
  const fields: Field[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const key = readVarint(bytes, offset);
    const value = key && readVarint(bytes, key.end);
    if (key === undefined || value === undefined) return undefined;
    const wireType = key.value % 8;
    const number = Math.floor(key.value / 8);
    const end = wireType === LENGTH_DELIMITED ? value.end + value.value : value.end;
    if ((wireType !== VARINT && wireType !== LENGTH_DELIMITED) || end > bytes.length)
      return undefined;
    fields.push({
      number,
      value: wireType === VARINT ? value.value : 0,
      bytes: bytes.subarray(value.end, end),
    });
    offset = end;
  }
  return fields;
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  let factor = 1;
  for (let offset = start; offset < start + 7; offset += 1) {
    const byte = bytes[offset];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return { value, end: offset + 1 };
    factor *= 0x80;
  }
  return undefined;
}
