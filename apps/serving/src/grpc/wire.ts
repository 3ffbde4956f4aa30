import { badRequest } from "../http/request-error.ts";

/** The protocol-buffer wire format: what one message's bytes are made of. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A place in a message. Reading past the end, or what is no message, is INVALID_INPUT. */
export interface WireReader {
  readonly buffer: Buffer;
  at: number;
  readonly end: number;
}

export const wireReader = (buffer: Buffer): WireReader => ({ buffer, at: 0, end: buffer.length });

/** Errors of a message's form, INVALID_INPUT. */
export function malformed(what: string): Error {
  return badRequest(`The message is not a protocol buffer of this service: ${what}`);
}

/** Up to 32 bits, or any value that a JavaScript number holds exactly; more is a bigint's, see `readLong`. */
export function readVarint(reader: WireReader): number {
  const { buffer } = reader;
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 10; count++) {
    if (reader.at >= reader.end) throw malformed("it ends within a number");
    const byte = buffer[reader.at++] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  throw malformed("a number is longer than 64 bits");
}

/** 64 bits, exact: a number where that can hold it, else a bigint. */
export function readLong(reader: WireReader, signed: boolean): number | bigint {
  const start = reader.at;
  const rough = readVarint(reader);
  if (rough <= Number.MAX_SAFE_INTEGER) return rough;
  let exact = 0n;
  for (let at = reader.at - 1; at >= start; at--) exact = (exact << 7n) | BigInt((reader.buffer[at] as number) & 0x7f);
  const value = signed ? BigInt.asIntN(64, exact) : BigInt.asUintN(64, exact);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The bytes of a string, of packed values or of a message inside; a view, not a copy. */
export function readBytes(reader: WireReader): Buffer {
  const length = readVarint(reader);
  if (length > reader.end - reader.at)
    throw malformed(`${length} bytes are announced, ${reader.end - reader.at} are left`);
  const bytes = reader.buffer.subarray(reader.at, reader.at + length);
  reader.at += length;
  return bytes;
}

export function readFixed(reader: WireReader, size: 4 | 8): number {
  if (reader.end - reader.at < size) throw malformed("it ends within a number");
  const value = size === 4 ? reader.buffer.readFloatLE(reader.at) : reader.buffer.readDoubleLE(reader.at);
  reader.at += size;
  return value;
}

/** Fields that this server does not know are passed over, as protocol buffers ask. */
export function skipField(reader: WireReader, wireType: number): void {
  if (wireType === wireTypes.varint) readVarint(reader);
  else if (wireType === wireTypes.bytes) readBytes(reader);
  else if (wireType === wireTypes.fixed64) readFixed(reader, 8);
  else if (wireType === wireTypes.fixed32) readFixed(reader, 4);
  else throw malformed(`wire type ${wireType}`);
}

/** A message that grows as it is written. */
export interface WireWriter {
  buffer: Buffer;
  at: number;
}

export const wireWriter = (): WireWriter => ({ buffer: Buffer.allocUnsafe(256), at: 0 });

export const written = (writer: WireWriter): Buffer => writer.buffer.subarray(0, writer.at);

function room(writer: WireWriter, size: number): void {
  if (writer.buffer.length - writer.at >= size) return;
  const larger = Buffer.allocUnsafe(Math.max(writer.buffer.length * 2, writer.at + size));
  writer.buffer.copy(larger, 0, 0, writer.at);
  writer.buffer = larger;
}

/** A non-negative integer that a JavaScript number holds exactly. */
export function writeVarint(writer: WireWriter, value: number): void {
  room(writer, 10);
  let rest = value;
  while (rest > 0x7f) {
    writer.buffer[writer.at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  writer.buffer[writer.at++] = rest;
}

/** Any integer of 64 bits; a negative one takes ten bytes, as two's complement. */
export function writeLong(writer: WireWriter, value: number | bigint): void {
  if (typeof value === "number" && value >= 0) {
    writeVarint(writer, value);
    return;
  }
  room(writer, 10);
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    writer.buffer[writer.at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  writer.buffer[writer.at++] = Number(rest);
}

export function writeBytes(writer: WireWriter, bytes: Uint8Array): void {
  writeVarint(writer, bytes.length);
  room(writer, bytes.length);
  writer.buffer.set(bytes, writer.at);
  writer.at += bytes.length;
}

export function writeFixed(writer: WireWriter, value: number, size: 4 | 8): void {
  room(writer, size);
  if (size === 4) writer.buffer.writeFloatLE(value, writer.at);
  else writer.buffer.writeDoubleLE(value, writer.at);
  writer.at += size;
}
