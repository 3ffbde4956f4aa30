import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createArtifacts } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";

/**
 * `npm run bench:artifacts`: versioning one file of 1 GiB and a folder of 20,000 small files, beside `sha256sum`, `cp` and DVC (PyPI) in
 * one run on one machine. Prints seconds; asserts nothing.
 */
const bigMebibytes = 1024;
const smallFiles = 20_000;
const cache = resolve(import.meta.dirname, "../node_modules/.cache/espalier-bench");
const folder = mkdtempSync(join(tmpdir(), "espalier-bench-"));
const results: { what: string; espalier?: number; dvc?: number; sha256sum?: number; cp?: number }[] = [];

function seconds(command: string, words: string[], cwd = folder): number {
  const started = performance.now();
  const done = spawnSync(command, words, { cwd, encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${command} ${words.join(" ")} ended with ${done.status}: ${done.stderr}`);
  return (performance.now() - started) / 1000;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function makeData(): void {
  const big = openSync(join(folder, "big.bin"), "w");
  const chunk = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < bigMebibytes; index += 1) writeSync(big, randomFillSync(chunk));
  closeSync(big);
  for (let index = 0; index < smallFiles; index += 1) {
    const part = join(folder, "tree", String(Math.floor(index / 200)));
    if (index % 200 === 0) mkdirSync(part, { recursive: true });
    writeFileSync(join(part, `${index}.bin`), randomFillSync(Buffer.alloc(2_000 + (index % 5_000))));
  }
}

function dvc(): string {
  const bin = join(cache, "venv/bin");
  if (!existsSync(join(bin, "dvc"))) {
    mkdirSync(cache, { recursive: true });
    seconds("python3", ["-m", "venv", join(cache, "venv")], cache);
    seconds(join(bin, "pip"), ["install", "--quiet", "dvc"], cache);
  }
  return join(bin, "dvc");
}

try {
  makeData();
  const artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
  const program = dvc();
  seconds(program, ["init", "--quiet", "--no-scm"]);

  const checkOutAfterRemoving = (path: string): number => {
    rmSync(path, { recursive: true });
    return seconds(program, ["checkout", "--quiet"]);
  };
  const big = join(folder, "big.bin");
  const tree = join(folder, "tree");
  const files = (): string[] => ["-c", "find tree -type f -print0 | xargs -0 sha256sum > sums"];
  results.push({
    what: "1 GiB file, publish",
    espalier: await timed(() => artifacts.putFile(big, "file")),
    dvc: seconds(program, ["add", "--quiet", "big.bin"]),
    sha256sum: seconds("sha256sum", ["big.bin"]),
    cp: seconds("cp", ["--reflink=never", "big.bin", "copy.bin"]),
  });
  const bigRef = await artifacts.putFile(big, "file");
  results.push({
    what: "1 GiB file, check out",
    espalier: await timed(() => artifacts.materialise(bigRef, join(folder, "out.bin"))),
    dvc: checkOutAfterRemoving(big),
  });
  results.push({
    what: `${smallFiles} small files, publish`,
    espalier: await timed(() => artifacts.putTree(tree, "tree")),
    dvc: seconds(program, ["add", "--quiet", "tree"]),
    sha256sum: seconds("sh", files()),
    cp: seconds("cp", ["-r", "--reflink=never", "tree", "tree-copy"]),
  });
  results.push({
    what: `${smallFiles} small files, publish unchanged`,
    espalier: await timed(() => artifacts.putTree(tree, "tree")),
    dvc: seconds(program, ["add", "--quiet", "tree"]),
  });
  const treeRef = await artifacts.putTree(tree, "tree");
  results.push({
    what: `${smallFiles} small files, check out`,
    espalier: await timed(() => artifacts.materialise(treeRef, join(folder, "tree-out"))),
    dvc: checkOutAfterRemoving(tree),
  });
  results.push({ what: `${smallFiles} small files, verify`, espalier: await timed(() => artifacts.verify(treeRef)) });

  const memory = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(
    `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}; seconds, one run each; peak memory ${memory} MiB`,
  );
  console.table(
    results.map(({ what, ...row }) => ({
      what,
      ...Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value.toFixed(2))])),
      "dvc / espalier": row.dvc && row.espalier ? Number((row.dvc / row.espalier).toFixed(1)) : undefined,
    })),
  );
} finally {
  rmSync(folder, { recursive: true });
}
