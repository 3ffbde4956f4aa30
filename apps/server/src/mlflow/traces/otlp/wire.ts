import { mlflowError } from "../../mlflow-error.ts";

/** What every malformed message is told; MLflow's own words. */
export function malformed(detail: string): never {
  throw mlflowError("BAD_REQUEST", `Invalid OpenTelemetry format: ${detail}`);
}

/**
 * Reads protobuf's wire format, a field at a time. Only what OTLP uses: no groups. Source: protobuf.dev/programming-guides/encoding.
 * Every read checks that it stays within its message, so garbage ends in `malformed`.
 */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get more(): boolean {
    return this.#at < this.#end;
  }

  /** The next field's number and wire type: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  tag(): { field: number; type: number } {
    const tag = this.#small();
    const field = tag >>> 3;
    if (field === 0) malformed("a field has the number 0");
    return { field, type: tag & 7 };
  }

  /** Also of enums and booleans; anything up to 2^53 without loss. */
  number(type: number): number {
    return Number(this.integer(type));
  }

  /** A signed 64-bit integer. */
  integer(type: number): bigint {
    if (type !== 0) malformed(`a number has the wire type ${type}`);
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    return malformed("a number is longer than ten bytes");
  }

  fixed64(type: number): bigint {
    const at = this.#take(8, type, 1);
    return this.#bytes.readBigUInt64LE(at);
  }

  double(type: number): number {
    const at = this.#take(8, type, 1);
    return this.#bytes.readDoubleLE(at);
  }

  bytes(type: number): Buffer {
    if (type !== 2) malformed(`bytes have the wire type ${type}`);
    const length = this.#small();
    const at = this.#take(length, type, 2);
    return this.#bytes.subarray(at, at + length);
  }

  text(type: number): string {
    return withoutNul(this.bytes(type).toString("utf8"));
  }

  message(type: number): WireReader {
    if (type !== 2) malformed(`a message has the wire type ${type}`);
    const length = this.#small();
    const at = this.#take(length, type, 2);
    return new WireReader(this.#bytes, at, at + length);
  }

  skip(type: number): void {
    if (type === 0) this.integer(0);
    else if (type === 1) this.#take(8, 1, 1);
    else if (type === 2) this.bytes(2);
    else if (type === 5) this.#take(4, 5, 5);
    else malformed(`the wire type ${type} is unknown`);
  }

  #byte(): number {
    if (this.#at >= this.#end) malformed("it ends in the middle of a field");
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte;
  }

  /** A varint of at most 32 bits: a tag or a length. */
  #small(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value <= 0xffff_ffff ? value : malformed("a length is greater than 32 bits");
    }
    return malformed("a length is longer than five bytes");
  }

  #take(length: number, type: number, expected: number): number {
    if (type !== expected) malformed(`a field has the wire type ${type} instead of ${expected}`);
    const at = this.#at;
    if (length > this.#end - at) malformed("it ends in the middle of a field");
    this.#at = at + length;
    return at;
  }
}

/** PostgreSQL stores no NUL, neither in a text nor in JSON that it looks into. */
export function withoutNul(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text;
}
