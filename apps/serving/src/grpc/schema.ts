import {
  malformed,
  readBytes,
  readFixed,
  readLong,
  readVarint,
  skipField,
  type WireReader,
  type WireWriter,
  wireReader,
  wireTypes,
  wireWriter,
  writeBytes,
  writeFixed,
  writeLong,
  writeVarint,
  written,
} from "./wire.ts";

/**
 * A field of two bytes becomes an object of hundreds, so that a message within the limit could fill the memory. No request has so many
 * tensors or parameters, and so many texts go raw.
 */
const maxMessages = 65_536;
const maxTexts = 1_000_000;

function checkCount(count: number, maximum: number, number: number): void {
  if (count > maximum) throw malformed(`field ${number} is repeated more than ${maximum} times`);
}

/** One value on the wire. */
interface Scalar<Value> {
  wireType: number;
  read(reader: WireReader): Value;
  write(writer: WireWriter, value: Value): void;
  /** proto3's default, which is not sent. */
  isDefault(value: Value): boolean;
  initial: Value;
}

/** One field of a message, by its number. */
interface Field<Value> {
  number: number;
  initial(): Value;
  /** The field's new value; a list grows in place. */
  read(reader: WireReader, wireType: number, before: Value): Value;
  write(writer: WireWriter, value: Value): void;
}

type Fields = Record<string, Field<unknown>>;
type ValueOf<F> = F extends { initial(): infer Value } ? Value : never;

/** A message type: proto3 semantics, so that an absent field reads as its default. */
export interface Schema<Message> {
  decode(bytes: Buffer): Message;
  encode(message: Partial<Message>): Buffer;
}
export type MessageOf<S> = S extends Schema<infer Message> ? Message : never;

const integer = (read: (reader: WireReader) => number | bigint): Scalar<number | bigint> => ({
  wireType: wireTypes.varint,
  read,
  write: writeLong,
  isDefault: (value) => value === 0 || value === 0n,
  initial: 0,
});

const scalars = {
  bool: {
    wireType: wireTypes.varint,
    read: (reader) => readVarint(reader) !== 0,
    write: (writer, value) => writeVarint(writer, value ? 1 : 0),
    isDefault: (value) => !value,
    initial: false,
  } satisfies Scalar<boolean> as Scalar<boolean>,
  /** A number where it is exact, else a bigint. */
  int64: integer((reader) => readLong(reader, true)),
  uint64: integer((reader) => readLong(reader, false)),
  /** For int32, uint32 and enums: negative ones are sent as 64 bits. */
  int32: integer((reader) => Number(BigInt.asIntN(32, BigInt(readLong(reader, true))))),
  uint32: integer((reader) => Number(BigInt.asUintN(32, BigInt(readLong(reader, false))))),
  float: {
    wireType: wireTypes.fixed32,
    read: (reader) => readFixed(reader, 4),
    write: (writer, value) => writeFixed(writer, value, 4),
    isDefault: (value) => Object.is(value, 0),
    initial: 0,
  } satisfies Scalar<number> as Scalar<number>,
  double: {
    wireType: wireTypes.fixed64,
    read: (reader) => readFixed(reader, 8),
    write: (writer, value) => writeFixed(writer, value, 8),
    isDefault: (value) => Object.is(value, 0),
    initial: 0,
  } satisfies Scalar<number> as Scalar<number>,
  string: {
    wireType: wireTypes.bytes,
    read: (reader) => readBytes(reader).toString("utf8"),
    write: (writer, value) => writeBytes(writer, Buffer.from(value)),
    isDefault: (value) => value === "",
    initial: "",
  } satisfies Scalar<string> as Scalar<string>,
  bytes: {
    wireType: wireTypes.bytes,
    read: readBytes,
    write: writeBytes,
    isDefault: (value) => value.length === 0,
    initial: Buffer.alloc(0),
  } satisfies Scalar<Buffer> as Scalar<Buffer>,
};

type Kind = keyof typeof scalars;
type KindValue<K extends Kind> = (typeof scalars)[K] extends Scalar<infer Value> ? Value : never;

function tag(writer: WireWriter, number: number, wireType: number): void {
  writeVarint(writer, number * 8 + wireType);
}

/** A field of one value. */
export function one<K extends Kind>(number: number, kind: K): Field<KindValue<K>> {
  const scalar = scalars[kind] as unknown as Scalar<KindValue<K>>;
  return {
    number,
    initial: () => scalar.initial,
    read: (reader) => scalar.read(reader),
    write(writer, value) {
      if (scalar.isDefault(value)) return;
      tag(writer, number, scalar.wireType);
      scalar.write(writer, value);
    },
  };
}

/** A field of a oneof: absent is told apart from the default. */
export function choice<K extends Kind>(number: number, kind: K): Field<KindValue<K> | undefined> {
  const scalar = scalars[kind] as unknown as Scalar<KindValue<K>>;
  return {
    number,
    initial: () => undefined,
    read: (reader) => scalar.read(reader),
    write(writer, value) {
      if (value === undefined) return;
      tag(writer, number, scalar.wireType);
      scalar.write(writer, value);
    },
  };
}

/** A repeated field; numbers are written packed, and read packed or not. */
export function list<K extends Kind>(number: number, kind: K): Field<KindValue<K>[]> {
  const scalar = scalars[kind] as unknown as Scalar<KindValue<K>>;
  const isPacked = scalar.wireType !== wireTypes.bytes;
  return {
    number,
    initial: () => [],
    read(reader, wireType, before) {
      if (isPacked && wireType === wireTypes.bytes) {
        const inner = wireReader(readBytes(reader));
        while (inner.at < inner.end) before.push(scalar.read(inner));
      } else checkCount(before.push(scalar.read(reader)), isPacked ? Number.POSITIVE_INFINITY : maxTexts, number);
      return before;
    },
    write(writer, values) {
      if (values.length === 0) return;
      if (isPacked) {
        const inner = wireWriter();
        for (const value of values) scalar.write(inner, value);
        tag(writer, number, wireTypes.bytes);
        writeBytes(writer, written(inner));
        return;
      }
      for (const value of values) {
        tag(writer, number, scalar.wireType);
        scalar.write(writer, value);
      }
    },
  };
}

/** A message inside. */
export function inner<Message>(number: number, schema: Schema<Message>): Field<Partial<Message> | undefined> {
  return {
    number,
    initial: () => undefined,
    read: (reader) => schema.decode(readBytes(reader)) as Partial<Message>,
    write(writer, value) {
      if (value === undefined) return;
      tag(writer, number, wireTypes.bytes);
      writeBytes(writer, schema.encode(value));
    },
  };
}

/** Messages inside. */
export function inners<Message>(number: number, schema: Schema<Message>): Field<Partial<Message>[]> {
  return {
    number,
    initial: () => [],
    read(reader, _wireType, before) {
      checkCount(before.push(schema.decode(readBytes(reader)) as Partial<Message>), maxMessages, number);
      return before;
    },
    write(writer, values) {
      for (const value of values) {
        tag(writer, number, wireTypes.bytes);
        writeBytes(writer, schema.encode(value));
      }
    },
  };
}

/** A map by text; each entry is a message {1: key, 2: value}. */
export function entries<Message>(
  number: number,
  schema: Schema<Message>,
): Field<ReadonlyMap<string, Partial<Message>>> {
  const pair = message({ key: one(1, "string"), value: inner(2, schema) });
  return {
    number,
    initial: () => new Map(),
    read(reader, _wireType, before) {
      const { key, value } = pair.decode(readBytes(reader));
      const known = before as Map<string, Partial<Message>>;
      known.set(key, value ?? schema.decode(Buffer.alloc(0)));
      checkCount(known.size, maxMessages, number);
      return known;
    },
    write(writer, values) {
      for (const [key, value] of values) {
        tag(writer, number, wireTypes.bytes);
        writeBytes(writer, pair.encode({ key, value }));
      }
    },
  };
}

/** A message type by its fields. */
export function message<F extends Fields>(fields: F): Schema<{ [Name in keyof F]: ValueOf<F[Name]> }> {
  type Message = { [Name in keyof F]: ValueOf<F[Name]> };
  const all = Object.entries(fields) as [keyof F & string, Field<unknown>][];
  const byNumber: ([keyof F & string, Field<unknown>] | undefined)[] = [];
  for (const [name, field] of all) byNumber[field.number] = [name, field];
  return {
    decode(bytes) {
      const result: Record<string, unknown> = {};
      for (const [name, field] of all) result[name] = field.initial();
      const reader = wireReader(bytes);
      while (reader.at < reader.end) {
        const head = readVarint(reader);
        const known = byNumber[Math.floor(head / 8)];
        if (known === undefined) skipField(reader, head % 8);
        else result[known[0]] = known[1].read(reader, head % 8, result[known[0]]);
      }
      return result as Message;
    },
    encode(given) {
      const writer = wireWriter();
      for (const [name, field] of all) {
        const value = given[name];
        if (value !== undefined) field.write(writer, value);
      }
      return written(writer);
    },
  };
}
