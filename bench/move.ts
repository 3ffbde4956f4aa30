import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { type ArtifactRef, copyArtifacts, createArtifacts, keysHeldBy } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";

/**
 * `npm run bench:move`: what `espalier move` does with artifacts of a few kilobytes each and with large ones, from one folder to another, beside
 * `cp -r` of the same; how much a move that was cut off after half costs anew, and one that finds everything there. Prints seconds; asserts nothing.
 */
const smallArtifacts = Number(process.argv[2] ?? 100_000);
const bigMebibytes = 1024;
const folder = mkdtempSync(join(tmpdir(), "espalier-bench-"));

async function timed<Result>(work: () => Promise<Result>): Promise<[seconds: number, result: Result]> {
  const started = performance.now();
  const result = await work();
  return [(performance.now() - started) / 1000, result];
}

function cp(from: string, to: string): number {
  const started = performance.now();
  const done = spawnSync("sh", ["-c", `cp -r '${from}' '${to}' && sync -f '${to}'`], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`cp ended with ${done.status}: ${done.stderr}`);
  return (performance.now() - started) / 1000;
}

const store = (name: string) => createFilesystemArtifactStore({ path: join(folder, name) });
const move = async (refs: readonly ArtifactRef[], from: string, to: string) => {
  const target = store(to);
  return copyArtifacts(store(from), target, refs, { held: await keysHeldBy(target) });
};

async function fill(name: string, count: number, size: (index: number) => number): Promise<ArtifactRef[]> {
  const artifacts = createArtifacts(store(name), createLocalFiles());
  const refs: ArtifactRef[] = [];
  for (let index = 0; index < count; index += 1) {
    const bytes = randomFillSync(Buffer.alloc(size(index)));
    const { digest } = await artifacts.putBytes(bytes, "file");
    refs.push({ type: "file", digest, size: bytes.byteLength });
  }
  return refs;
}

try {
  mkdirSync(folder, { recursive: true });
  const small = await fill("small", smallArtifacts, (index) => 2_000 + (index % 5_000));
  const [whole, report] = await timed(() => move(small, "small", "small-moved"));
  const [again, nothing] = await timed(() => move(small, "small", "small-moved"));
  await move(small.slice(0, small.length / 2), "small", "small-half");
  const [rest, half] = await timed(() => move(small, "small", "small-half"));
  const copied = cp(join(folder, "small"), join(folder, "small-copied"));
  const big = await fill("big", bigMebibytes / 64, () => 64 * 1024 * 1024);
  const [large] = await timed(() => move(big, "big", "big-moved"));
  const largeCopied = cp(join(folder, "big"), join(folder, "big-copied"));
  const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)} times cp -r`;
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.versions.node}`);
  console.log(
    `${report.objects} small artifacts (${(report.bytes / 1e6).toFixed(0)} MB): ${whole.toFixed(1)} s; cp -r ${copied.toFixed(1)} s: ${ratio(whole, copied)}`,
  );
  console.log(`  again, ${nothing.objects} objects to carry: ${again.toFixed(1)} s`);
  console.log(`  cut off after half, ${half.objects} objects left: ${rest.toFixed(1)} s`);
  console.log(
    `${bigMebibytes} MiB in ${big.length} artifacts: ${large.toFixed(1)} s; cp -r ${largeCopied.toFixed(1)} s: ${ratio(large, largeCopied)}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
