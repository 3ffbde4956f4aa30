import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createPythonEnvironments, optunaPython } from "@espalier/host";

/**
 * `npm run bench:tune [-- --trials 100]`: one search under Espalier and as Optuna's own script, in one run on one machine. A trial is a shell that
 * writes a number into a file, one at a time; Optuna keeps its study in SQLite, as one that can be resumed does, and in memory. Prints
 * seconds, milliseconds a trial above the shell's own, and ratios; asserts nothing.
 */
const root = resolve(import.meta.dirname, "..");
const place = process.argv.indexOf("--trials");
const trials = place < 0 ? 100 : Number(process.argv[place + 1]);
const folder = mkdtempSync(join(tmpdir(), "espalier-bench-tune-"));

const script = `
import subprocess, sys, time
trials, storage = int(sys.argv[1]), sys.argv[2]
begun = time.perf_counter()
if storage == "shell":
    for number in range(trials):
        subprocess.run(["/bin/sh", "-c", "echo 0.5 > result.txt"], check=True)
else:
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        rate = trial.suggest_float("rate", 0.001, 1, log=True)
        depth = trial.suggest_int("depth", 1, 9)
        subprocess.run(["/bin/sh", "-c", f"echo {rate} {depth} > result.txt"], check=True)
        return float(open("result.txt").read().split()[0])

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=1), storage=None if storage == "memory" else storage
    )
    study.optimize(objective, n_trials=trials)
print(time.perf_counter() - begun)
`;

const pipeline = (method: string, concurrency: number): string => `name: ${method}${concurrency}
steps:
  search:
    run: |
      echo \${{ trial.rate }} \${{ trial.depth }} > \${{ outputs.result }}
      echo '{"type":"metric","key":"loss","value":'\${{ trial.rate }}'}' >> $ESPALIER_EVENTS
    outputs: { result: file }
    tune:
      search: { rate: { log_uniform: [0.001, 1] }, depth: { integer: [1, 9] } }
      method: ${method}
      trials: ${trials}
      concurrency: ${concurrency}
      seed: 1
      objective: { metric: loss, direction: minimize }
`;

function ended(program: string, words: string[]): string {
  const result = spawnSync(program, words, { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`${program} ended with ${result.status}:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** Seconds of the run itself, without the start of the command; the second time all trials are cached. */
function espalier(name: string): number {
  const { run } = JSON.parse(ended(process.execPath, [join(root, "apps/cli/src/main.ts"), "run", name, "--json"]));
  return (run.finishedAt - run.createdAt) / 1_000;
}

try {
  mkdirSync(join(folder, "pipelines"));
  writeFileSync(join(folder, "espalier.yaml"), "project: bench\n");
  writeFileSync(join(folder, "script.py"), script);
  for (const [method, concurrency] of [
    ["tpe", 1],
    ["tpe", 4],
    ["random", 1],
  ] as const) {
    writeFileSync(join(folder, `pipelines/${method}${concurrency}.yaml`), pipeline(method, concurrency));
  }
  const python = await optunaPython(createPythonEnvironments(), join(folder, "optuna"));
  const own = (storage: string): number => Number(ended(python, ["script.py", String(trials), storage]));
  const shell = own("shell");
  const optuna = own(`sqlite:///${join(folder, "study.db")}`);
  const rows: [string, number][] = [
    ["the shells alone", shell],
    ["Optuna, study in SQLite", optuna],
    ["Optuna, study in memory", own("memory")],
    ["Espalier, tpe, one at a time", espalier("tpe1")],
    ["Espalier, the same again: all cached", espalier("tpe1")],
    ["Espalier, tpe, 4 at a time", espalier("tpe4")],
    ["Espalier, random, one at a time", espalier("random1")],
  ];
  console.log(`${trials} trials, ${cpus().length} CPUs (${cpus()[0]?.model}), Node ${process.versions.node}\n`);
  console.log("| search | seconds | ms a trial above the shell | beside Optuna in SQLite |");
  console.log("| --- | ---: | ---: | ---: |");
  for (const [name, seconds] of rows) {
    const above = ((seconds - shell) / trials) * 1_000;
    console.log(`| ${name} | ${seconds.toFixed(2)} | ${above.toFixed(1)} | ${(seconds / optuna).toFixed(2)} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
