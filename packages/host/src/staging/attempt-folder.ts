import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";

/** Where everything of one attempt lies: `<state folder>/attempts/<attempt id>/`. */
export interface AttemptFolder {
  root: string;
  inputs: string;
  outputs: string;
  source: string;
  log: string;
  events: string;
  /** The attempt's own bearer token, readable by the control plane's user alone. */
  token: string;
}

export function attemptFolder(stateFolder: string, attemptId: string): AttemptFolder {
  // Attempt ids also arrive in URLs.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(attemptId)) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(attemptId)} is not an attempt's id`);
  }
  const root = join(stateFolder, "attempts", attemptId);
  return {
    root,
    inputs: join(root, "inputs"),
    outputs: join(root, "outputs"),
    source: join(root, "source"),
    log: join(root, "log"),
    events: join(root, "events.jsonl"),
    token: join(root, "token"),
  };
}

/** Empty, whatever an earlier try left. */
export async function makeFolder(folder: AttemptFolder): Promise<void> {
  await rm(folder.root, { recursive: true, force: true });
  await mkdir(folder.inputs, { recursive: true });
  await mkdir(folder.outputs);
}

export const isThere = async (path: string): Promise<boolean> => (await sizeOf(path)) !== undefined;

/** Bytes; undefined when nothing is there. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Milliseconds since the epoch; undefined when nothing is there. */
export async function modifiedAt(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** At most `length` bytes from `offset` on; empty when the file is not there or not that long. */
export async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (error) {
    if (isMissing(error)) return new Uint8Array();
    throw error;
  }
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
