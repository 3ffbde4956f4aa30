import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * `npm run bench:engine`: the same chains of trivial steps under Espalier, Metaflow and DVC (both from PyPI), in one run on one machine.
 * Each step runs `/bin/sh -c 'cat input > output'`. Prints seconds and ratios; asserts nothing.
 */
const root = resolve(import.meta.dirname, "..");
const cache = join(root, "node_modules/.cache/espalier-bench");
const chain = 50;
const cachedSteps = 200;

function run(command: string, words: string[], options: SpawnSyncOptions = {}): number {
  const started = process.hrtime.bigint();
  const result = spawnSync(command, words, { encoding: "utf8", ...options });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (result.status !== 0)
    throw new Error(`${command} ${words.join(" ")} ended with ${result.status}:\n${result.stdout}${result.stderr}`);
  return seconds;
}

function peers(): string {
  const bin = join(cache, "venv/bin");
  if (!existsSync(bin)) {
    mkdirSync(cache, { recursive: true });
    run("python3", ["-m", "venv", join(cache, "venv")]);
  }
  if (!existsSync(join(bin, "dvc")) || !existsSync(join(bin, "metaflow"))) {
    run(join(bin, "pip"), ["install", "--quiet", "metaflow", "dvc"]);
  }
  return bin;
}

const stepName = (index: number): string => `s${String(index).padStart(3, "0")}`;

function espalierProject(folder: string, length: number): void {
  mkdirSync(join(folder, "pipelines"), { recursive: true });
  writeFileSync(join(folder, "espalier.yaml"), "project: bench\ndefault_stack: laptop\nstacks:\n  laptop: {}\n");
  writeFileSync(join(folder, "seed.txt"), "1\n");
  const steps = Array.from({ length }, (_, index) => {
    const source = index === 0 ? "./seed.txt" : `${stepName(index - 1)}.out`;
    return [
      `  ${stepName(index)}:`,
      `    run: cat \${{ inputs.data }} > \${{ outputs.out }}`,
      `    inputs: { data: ${source} }`,
      "    outputs: { out: file }",
    ].join("\n");
  });
  writeFileSync(join(folder, "pipelines/chain.yaml"), `name: chain\nsteps:\n${steps.join("\n")}\n`);
}

function espalier(folder: string, ...words: string[]): { wall: number; engine: number } {
  const started = process.hrtime.bigint();
  const result = spawnSync(
    process.execPath,
    [join(root, "apps/cli/src/main.ts"), "run", "--json", ...words, "--project", folder],
    {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    },
  );
  const wall = Number(process.hrtime.bigint() - started) / 1e9;
  if (result.status !== 0)
    throw new Error(`espalier run ended with ${result.status}:\n${result.stdout}${result.stderr}`);
  const { run: detail } = JSON.parse(result.stdout);
  return { wall, engine: (detail.finishedAt - detail.createdAt) / 1000 };
}

function dvcProject(folder: string, length: number, bin: string): void {
  mkdirSync(folder, { recursive: true });
  run(join(bin, "dvc"), ["init", "--no-scm", "--quiet"], { cwd: folder });
  run(join(bin, "dvc"), ["config", "core.analytics", "false"], { cwd: folder });
  writeFileSync(join(folder, "seed.txt"), "1\n");
  const stages = Array.from({ length }, (_, index) => {
    const source = index === 0 ? "seed.txt" : `${stepName(index - 1)}.txt`;
    const output = `${stepName(index)}.txt`;
    return `  ${stepName(index)}:\n    cmd: cat ${source} > ${output}\n    deps: [${source}]\n    outs: [${output}]`;
  });
  writeFileSync(join(folder, "dvc.yaml"), `stages:\n${stages.join("\n")}\n`);
}

function metaflowProgram(length: number): string {
  const steps = Array.from({ length }, (_, index) => {
    const next = index === length - 1 ? "self.next(self.end)" : `self.next(self.${stepName(index + 1)})`;
    return `    @step\n    def ${stepName(index)}(self):\n        subprocess.run(["/bin/sh", "-c", "cat seed.txt > /dev/null"], check=True)\n        ${next}\n`;
  });
  return `import subprocess\nfrom metaflow import FlowSpec, step\n\nclass Chain(FlowSpec):\n    @step\n    def start(self):\n        self.next(self.s000)\n\n${steps.join("\n")}\n    @step\n    def end(self):\n        pass\n\nif __name__ == "__main__":\n    Chain()\n`;
}

const bin = peers();
const scratch = mkdtempSync(join(tmpdir(), "espalier-bench-"));
try {
  const bare = run("/bin/sh", ["-c", `for i in $(seq ${chain}); do /bin/sh -c 'cat /dev/null > /dev/null'; done`]);

  espalierProject(join(scratch, "e"), chain);
  const first = espalier(join(scratch, "e"));
  espalierProject(join(scratch, "e200"), cachedSteps);
  espalier(join(scratch, "e200"));
  const again = espalier(join(scratch, "e200"));

  dvcProject(join(scratch, "d"), chain, bin);
  const dvcFirst = run(join(bin, "dvc"), ["repro", "--quiet"], { cwd: join(scratch, "d") });
  dvcProject(join(scratch, "d200"), cachedSteps, bin);
  run(join(bin, "dvc"), ["repro", "--quiet"], { cwd: join(scratch, "d200") });
  const dvcAgain = run(join(bin, "dvc"), ["repro", "--quiet"], { cwd: join(scratch, "d200") });

  mkdirSync(join(scratch, "m"));
  writeFileSync(join(scratch, "m/chain.py"), metaflowProgram(chain));
  writeFileSync(join(scratch, "m/seed.txt"), "1\n");
  const metaflow = run(join(bin, "python"), ["chain.py", "--quiet", "run"], {
    cwd: join(scratch, "m"),
    env: { ...process.env, METAFLOW_USER: "bench", USERNAME: "bench", METAFLOW_HOME: join(scratch, "m/home") },
  });

  const perStep = (seconds: number): string => `${(((seconds - bare) / chain) * 1000).toFixed(1)} ms`;
  const versions = spawnSync(join(bin, "pip"), ["list", "--format=freeze"], { encoding: "utf8" }).stdout;
  const version = (name: string): string => new RegExp(`^${name}==(.*)$`, "m").exec(versions)?.[1] ?? "?";
  console.log(
    `${cpus().length} x ${cpus()[0]?.model}, Node ${process.versions.node}, Metaflow ${version("metaflow")}, DVC ${version("dvc")}`,
  );
  console.log(`\nA chain of ${chain} steps, nothing cached (bare processes: ${bare.toFixed(2)} s)`);
  console.table({
    "Espalier, inside the engine": { seconds: first.engine, "overhead a step": perStep(first.engine), ratio: 1 },
    "Espalier, whole command": { seconds: first.wall, "overhead a step": perStep(first.wall), ratio: 1 },
    DVC: { seconds: dvcFirst, "overhead a step": perStep(dvcFirst), ratio: dvcFirst / first.wall },
    Metaflow: { seconds: metaflow, "overhead a step": perStep(metaflow), ratio: metaflow / first.wall },
  });
  console.log(`\n${cachedSteps} steps, all cached (Metaflow has no cache across runs)`);
  console.table({
    "Espalier, inside the engine": { seconds: again.engine, ratio: 1 },
    "Espalier, whole command": { seconds: again.wall, ratio: 1 },
    DVC: { seconds: dvcAgain, ratio: dvcAgain / again.wall },
  });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
