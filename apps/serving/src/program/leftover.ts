import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const noteOf = (runtimeFile: string) => join(dirname(runtimeFile), "program.json");

/** Remembers the program that was started, so that the next process here can end it when this one is killed. */
export async function noteChild(runtimeFile: string, pid: number): Promise<void> {
  const file = noteOf(runtimeFile);
  await writeFile(`${file}.tmp`, JSON.stringify({ pid, startedAt: await startOf(pid) }));
  await rename(`${file}.tmp`, file);
}

/** Ends the program that a killed process left: it holds memory, perhaps a GPU, and nobody asks it any more. */
export async function endLeftover(runtimeFile: string): Promise<void> {
  let note: { pid: number; startedAt: string | undefined };
  try {
    note = JSON.parse(await readFile(noteOf(runtimeFile), "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
  // A process number is reused, but not with the same moment of birth.
  while (note.startedAt !== undefined && (await startOf(note.pid)) === note.startedAt) {
    try {
      process.kill(note.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
    await delay(10);
  }
}

/** Clock ticks since boot at which a process began (proc(5), field 22 of stat); undefined when there is none, or no /proc. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // A process that ended and was not waited for yet holds nothing.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
