import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** `owner.json`, readable by its owner alone: where the project's control plane answers, and the local token. */
const ownerSchema = z.object({
  url: z.string(),
  token: z.string(),
  pid: z.int().positive(),
  /** Process ids mean something on this machine only. */
  host: z.string(),
});
export type OwnerFile = z.infer<typeof ownerSchema>;

const ownerFileName = "owner.json";

/** Whole or not at all: a reader never sees half a file. */
export async function writeOwnerFile(stateFolder: string, owner: Omit<OwnerFile, "host">): Promise<void> {
  const target = join(stateFolder, ownerFileName);
  const temporary = `${target}.${randomUUID()}`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ ...owner, host: hostname() })}\n`);
    await file.close();
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

export async function removeOwnerFile(stateFolder: string): Promise<void> {
  await rm(join(stateFolder, ownerFileName), { force: true });
}

/** undefined when there is none, or when the process that wrote it is dead: a killed owner leaves its file behind. */
export async function readOwnerFile(stateFolder: string): Promise<OwnerFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(stateFolder, ownerFileName), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const owner = ownerSchema.safeParse(parseJson(text));
  if (!owner.success || (owner.data.host === hostname() && !isAlive(owner.data.pid))) return undefined;
  return owner.data;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
