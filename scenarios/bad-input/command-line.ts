import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll } from "vitest";

const main = resolve(import.meta.dirname, "../../apps/cli/src/main.ts");
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A project in a temporary folder; text by path. */
export function makeProject(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), "espalier-bad-"));
  folders.push(folder);
  for (const [path, content] of Object.entries({ "espalier.yaml": "project: bad\n", ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

export interface Said {
  code: number | null;
  /** Standard output and standard error, in the order in which they came. */
  text: string;
}

export interface Running {
  child: ChildProcess;
  ended: Promise<Said>;
  /** Resolves when this has been printed; rejects when the command ends without it. */
  printed(text: string): Promise<void>;
}

/** The real command line, in a process of its own. */
export function start(folder: string, words: readonly string[], input = ""): Running {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: folder,
    // Colours are for people, also where CI asks for them.
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let text = "";
  const waiting: { wanted: string; resolve: () => void }[] = [];
  const take = (chunk: Buffer): void => {
    text += chunk.toString("utf8");
    for (const { wanted, resolve } of waiting) if (text.includes(wanted)) resolve();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  child.stdin.end(input);
  const ended = new Promise<Said>((resolve) => child.once("close", (code) => resolve({ code, text })));
  return {
    child,
    ended,
    printed: (wanted) =>
      new Promise((resolve, reject) => {
        if (text.includes(wanted)) resolve();
        waiting.push({ wanted, resolve });
        void ended.then(() => reject(new Error(`The command ended without printing ${wanted}:\n${text}`)));
      }),
  };
}

export const espalier = (folder: string, ...words: string[]): Promise<Said> => start(folder, words).ended;

/** A pipeline file with these steps. */
export const pipeline = (name: string, steps: string): string => `name: ${name}\nsteps:\n${steps}\n`;
