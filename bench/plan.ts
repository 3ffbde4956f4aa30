import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * `npm run bench:plan`: `espalier plan` of a chain of 200 steps, new and all cached, and `espalier advise` from a file, each as a whole command of
 * the package as it is published, built and installed first. Prints the median of five; asserts nothing.
 */
const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "espalier-bench-"));
const program = join(folder, "node_modules/espalier/dist/espalier.js");
const count = 200;

function espalier(...words: string[]): number {
  const started = performance.now();
  const done = spawnSync(process.execPath, [program, ...words], { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
  if (done.status !== 0)
    throw new Error(`espalier ${words.join(" ")} ended with ${done.status}: ${done.stdout}${done.stderr}`);
  return (performance.now() - started) / 1000;
}

function median(...words: string[]): string {
  const seconds = Array.from({ length: 5 }, () => espalier(...words)).sort((one, other) => one - other);
  return `${(seconds[2] as number).toFixed(2)} s`;
}

try {
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  execFileSync(process.execPath, [join(root, "scripts/build.ts")], { cwd: root, stdio: "ignore" });
  const install = [
    "install",
    "--silent",
    "--ignore-scripts",
    "--prefer-offline",
    "--install-links",
    join(root, "dist/package"),
  ];
  execFileSync("npm", install, { cwd: folder, stdio: "inherit" });
  mkdirSync(join(folder, "pipelines"));
  writeFileSync(join(folder, "espalier.yaml"), "project: bench\ndefault_stack: laptop\nstacks:\n  laptop: {}\n");
  writeFileSync(join(folder, "seed.txt"), "1\n");
  const name = (index: number): string => `s${String(index).padStart(3, "0")}`;
  const steps = Array.from({ length: count }, (_, index) =>
    [
      `  ${name(index)}:`,
      `    run: cat \${{ inputs.data }} > \${{ outputs.out }}`,
      `    inputs: { data: ${index === 0 ? "./seed.txt" : `${name(index - 1)}.out`} }`,
      "    outputs: { out: file }",
    ].join("\n"),
  );
  writeFileSync(join(folder, "pipelines/chain.yaml"), `name: chain\nsteps:\n${steps.join("\n")}\n`);
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.versions.node}`);
  console.log(`espalier --help: ${median("--help")}`);
  console.log(`plan of ${count} steps, none ever ran: ${median("plan", "chain", "--json")}`);
  espalier("run", "chain", "--json");
  console.log(`plan of ${count} steps, all cached: ${median("plan", "chain", "--json")}`);
  const up = spawn(process.execPath, [program, "up", "--port", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(up.stdout, "data");
  console.log(
    `plan of ${count} steps, all cached, asked of a control plane that runs: ${median("plan", "chain", "--json")}`,
  );
  up.kill("SIGTERM");
  await once(up, "exit");
  console.log(
    `advise from a file: ${median("advise", "--from", join(root, "docs/choosing/bank-on-premises.yaml"), "--json")}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
