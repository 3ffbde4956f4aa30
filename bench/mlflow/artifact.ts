import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Part } from "./parts.ts";
import { peakMegabytes, residentMegabytes } from "./processes.ts";
import { runClients } from "./python-client.ts";
import { newExperiment, newRun } from "./requests.ts";
import type { Figure } from "./results.ts";

/** One large file up and down through the proxy, beside what the disk and SHA-256 alone take for it. */
export const artifact: Part = async ({ target, python, scale, folder }) => {
  const megabytes = Math.max(1, Math.round(1024 * scale));
  const files = join(folder, "files");
  mkdirSync(join(files, "down"), { recursive: true });
  const path = join(files, "large.bin");
  writeRandom(path, megabytes);
  try {
    const bare = seconds("sh", [
      "-c",
      `cp "$1" "$2" && sync "$2" && sha256sum "$2"`,
      "sh",
      path,
      join(files, "copy.bin"),
    ]);
    const options = {
      run_id: await newRun(target.url, await newExperiment(target.url)),
      path,
      target: join(files, "down"),
    };
    const before = residentMegabytes(target.pid);
    const [[result], peak] = await peakMegabytes(target.pid, () =>
      runClients<{ up: number; down: number }>([
        { python, url: target.url, mode: "artifact", options, capSeconds: 600 },
      ]),
    );
    const rate = (value: number | undefined): number => (value === undefined ? Number.NaN : megabytes / value);
    const size = `${megabytes} MB`;
    return [
      { what: `${size} up`, unit: "MB/s", better: "more", value: rate(result?.up) },
      { what: `${size} down`, unit: "MB/s", better: "more", value: rate(result?.down) },
      { what: `${size}: cp, sync and sha256sum`, unit: "MB/s", better: "machine", value: rate(bare) },
      { what: "greatest resident memory meanwhile", unit: "MB", better: "less", value: peak },
      { what: "resident memory before", unit: "MB", better: "less", value: before },
    ] satisfies Figure[];
  } finally {
    rmSync(files, { recursive: true, force: true });
  }
};

function writeRandom(path: string, megabytes: number): void {
  const file = openSync(path, "w");
  const block = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < megabytes; index += 1) writeSync(file, randomFillSync(block));
  closeSync(file);
}

function seconds(command: string, words: readonly string[]): number {
  const started = performance.now();
  const done = spawnSync(command, [...words], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${command} ended with ${done.status}: ${done.stderr}`);
  return (performance.now() - started) / 1000;
}
