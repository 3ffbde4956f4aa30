import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { type AttemptFolder, readIfThere } from "./attempt-folder.ts";

/** undefined: the attempt has none, or has ended. */
export const readToken = async (folder: AttemptFolder): Promise<string | undefined> =>
  (await readIfThere(folder.token)) || undefined;

/**
 * The attempt's token: the one that is there, else a new one. Preparing may be repeated after a crash, and the record keeps only hashes;
 * what lies here is the one that logs are masked by.
 */
export async function keepToken(folder: AttemptFolder, mint: () => Promise<string>): Promise<string> {
  const present = await readToken(folder);
  if (present !== undefined) return present;
  const token = await mint();
  const temporary = `${folder.token}.${randomUUID()}`;
  await writeFile(temporary, token, { mode: 0o600 });
  await rename(temporary, folder.token);
  return token;
}
