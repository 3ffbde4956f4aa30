import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ArtifactRef, type Artifacts, isDigest, type LocalFiles } from "@espalier/core";

const mostEntries = 5_000;
/** A file changed within this time of being hashed may change again without a new time stamp. */
const racyMilliseconds = 2_000;

interface Entry {
  fingerprint: string;
  ref: ArtifactRef;
}

/**
 * What files and folders of the project were published as, by size, time stamps and inode: data that did not change is not hashed at
 * every run. Only a shortcut: without it, or when it does not fit, the content is hashed.
 */
export interface DigestMemo {
  publish(path: string, put: () => Promise<ArtifactRef>): Promise<ArtifactRef>;
  save(): Promise<void>;
}

export async function openDigestMemo(
  stateFolder: string,
  artifacts: Artifacts,
  files: LocalFiles,
): Promise<DigestMemo> {
  const memoPath = join(stateFolder, "digests.json");
  const entries = new Map<string, Entry>(Object.entries(await readMemo(memoPath)));
  let changed = false;
  return {
    async publish(path, put) {
      const before = await fingerprintOf(path, files);
      const known = entries.get(path);
      if (known && known.fingerprint === before.text && (await artifacts.exists(known.ref))) return known.ref;
      const ref = await put();
      const after = await fingerprintOf(path, files);
      if (after.text === before.text && Date.now() - after.newestMilliseconds > racyMilliseconds) {
        entries.delete(path);
        entries.set(path, { fingerprint: after.text, ref });
        changed = true;
      }
      return ref;
    },
    async save() {
      if (!changed) return;
      const kept = Object.fromEntries([...entries].slice(-mostEntries));
      const temporary = `${memoPath}.${randomUUID()}.tmp`;
      await writeFile(temporary, JSON.stringify(kept));
      await rename(temporary, memoPath);
      changed = false;
    },
  };
}

async function readMemo(path: string): Promise<Record<string, Entry>> {
  try {
    const memo = JSON.parse(await readFile(path, "utf8")) as Record<string, Entry>;
    return Object.fromEntries(Object.entries(memo).filter(([, entry]) => isDigest(entry.ref?.digest)));
  } catch {
    // Missing or damaged: everything is hashed once more.
    return {};
  }
}

async function fingerprintOf(path: string, files: LocalFiles): Promise<{ text: string; newestMilliseconds: number }> {
  const own = await stat(path, { bigint: true });
  if (!own.isDirectory()) return { text: line("", own), newestMilliseconds: Number(own.ctimeMs) };
  const lines: string[] = [];
  let newest = 0n;
  for await (const file of files.walk(path)) {
    const one = await stat(join(path, file.path), { bigint: true });
    if (one.ctimeMs > newest) newest = one.ctimeMs;
    lines.push(line(file.path, one));
  }
  const text = createHash("sha256").update(lines.sort().join("\n")).digest("hex");
  return { text, newestMilliseconds: Number(newest) };
}

/** The change time moves even when somebody sets the modification time back. */
const line = (
  path: string,
  of: { size: bigint; mtimeNs: bigint; ctimeNs: bigint; ino: bigint; mode: bigint },
): string => `${path} ${of.size} ${of.mtimeNs} ${of.ctimeNs} ${of.ino} ${of.mode}`;
