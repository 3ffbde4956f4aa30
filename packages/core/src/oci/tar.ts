import { EspalierError } from "../errors.ts";
import type { ByteStream } from "../ports/artifact-store.ts";

/** What a layer puts at a path. Paths are relative to the image's root, POSIX, without a leading or trailing `/`. */
export type LayerEntry =
  | {
      kind: "file";
      path: string;
      /** Bytes. */
      size: number;
      executable: boolean;
      /** May be called again: a layer is read once for its digest and once to be sent. */
      open(): ByteStream | Promise<ByteStream>;
    }
  | { kind: "folder"; path: string /** Such as 0o1777 for /tmp; 0o755 unless told. */; mode?: number }
  | { kind: "link"; path: string; target: string };

const blockBytes = 512;
/** 1980, the earliest time that zip files know: tools that zip what they find choke on 1970. Never the time of the build. */
const modifiedSeconds = 315_532_800;
/** The largest size that a header's eleven octal digits hold. */
const largestPlainSize = 8 ** 11 - 1;

/**
 * A layer's tar archive (POSIX pax), without compression. Equal entries in any order give equal bytes: entries are sorted, folders above
 * them added, owners are root, times and modes fixed. INVALID_INPUT: a path that leads out, is there twice, or means a deletion to a
 * container engine. CORRUPTED: a file whose content has another size than its entry says.
 */
export async function* tarArchive(entries: readonly LayerEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of withFolders(entries)) {
    yield headerOf(entry);
    if (entry.kind !== "file") continue;
    let size = 0;
    for await (const chunk of await entry.open()) {
      size += chunk.byteLength;
      if (size > entry.size) break;
      yield chunk;
    }
    if (size !== entry.size) {
      throw new EspalierError(
        "CORRUPTED",
        `${entry.path} changed while it was packed: it should have ${entry.size} bytes`,
      );
    }
    yield padding(size);
  }
  yield new Uint8Array(2 * blockBytes);
}

/** Bytes of the archive, without reading a file. */
export function tarSize(entries: readonly LayerEntry[]): number {
  let size = 2 * blockBytes;
  for (const entry of withFolders(entries)) {
    size += headerOf(entry).byteLength;
    if (entry.kind === "file") size += entry.size + padding(entry.size).byteLength;
  }
  return size;
}

function withFolders(entries: readonly LayerEntry[]): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) {
    checkPath(entry.path);
    if (byPath.has(entry.path)) throw new EspalierError("INVALID_INPUT", `A layer has ${entry.path} twice`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const folder = path.slice(0, end);
      const there = byPath.get(folder);
      if (there === undefined) byPath.set(folder, { kind: "folder", path: folder });
      else if (there.kind !== "folder") {
        throw new EspalierError("INVALID_INPUT", `A layer has ${folder} both as a ${there.kind} and as a folder`);
      }
    }
  }
  return [...byPath.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

function checkPath(path: string): void {
  const parts = path.split("/");
  if (path.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(path)} can not be a path in an image`);
  }
  // Container engines take such a name for the deletion of a file below.
  if (parts.some((part) => part.startsWith(".wh."))) {
    throw new EspalierError(
      "INVALID_INPUT",
      `${JSON.stringify(path)} can not be packed: names that begin with ".wh." delete files`,
      {
        hint: "Rename the file and register the model again.",
      },
    );
  }
}

function headerOf(entry: LayerEntry): Uint8Array {
  const path = entry.kind === "folder" ? `${entry.path}/` : entry.path;
  const size = entry.kind === "file" ? entry.size : 0;
  const target = entry.kind === "link" ? entry.target : "";
  const mode =
    entry.kind === "folder" ? (entry.mode ?? 0o755) : entry.kind === "link" || entry.executable ? 0o755 : 0o644;
  const type = { file: "0", folder: "5", link: "2" }[entry.kind];
  const records = {
    ...(isPlain(path) ? {} : { path }),
    ...(isPlain(target) ? {} : { linkpath: target }),
    ...(size > largestPlainSize ? { size: String(size) } : {}),
  };
  const main = block({ name: path, size: Math.min(size, largestPlainSize), target, mode, type });
  if (Object.keys(records).length === 0) return main;
  const body = Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
  const before = block({ name: "pax", size: body.byteLength, target: "", mode: 0o644, type: "x" });
  return Buffer.concat([before, body, padding(body.byteLength), main]);
}

/** Fits into a header's field, and means the same to every reader. */
function isPlain(text: string): boolean {
  return text.length <= 100 && /^[\x20-\x7e]*$/.test(text);
}

function block(header: { name: string; size: number; target: string; mode: number; type: string }): Uint8Array {
  const bytes = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, digits: number): void => {
    bytes.write(value.toString(8).padStart(digits, "0"), offset, digits, "latin1");
  };
  bytes.write(header.name, 0, 100, "utf8");
  octal(header.mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(header.size, 124, 11);
  octal(modifiedSeconds, 136, 11);
  bytes.write(" ".repeat(8), 148, "latin1");
  bytes.write(header.type, 156, "latin1");
  bytes.write(header.target, 157, 100, "utf8");
  bytes.write("ustar\u000000", 257, "latin1");
  octal(0, 329, 7);
  octal(0, 337, 7);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (length !== Buffer.byteLength(`${length}${rest}`)) length = Buffer.byteLength(`${length}${rest}`);
  return Buffer.from(`${length}${rest}`);
}

function padding(size: number): Uint8Array {
  return new Uint8Array((blockBytes - (size % blockBytes)) % blockBytes);
}
