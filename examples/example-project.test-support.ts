import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

interface RunDetail {
  run: { id: string; state: string };
  counts: Readonly<Record<string, number>>;
  steps: readonly {
    step: string;
    state: string;
    // Values are whatever the step wrote; each test knows its own.
    // biome-ignore lint/suspicious/noExplicitAny: as JSON.parse gives them.
    values?: Readonly<Record<string, any>>;
    outputs?: Readonly<Record<string, { digest: string }>>;
  }[];
}

export interface ExampleProject {
  folder: string;
  espalier(...words: string[]): { code: number | null; out: string; err: string };
  /** Runs a pipeline to its end, which must be the one that is expected. */
  run(pipeline: string, ...words: string[]): RunDetail;
  /** The `value` output of a step. */
  value(detail: RunDetail, step: string, output: string): unknown;
  close(): void;
}

/** A copy of an example with its data, as its README says to make it, and the commands a user would type. */
export function copyExample(name: string, data: string): ExampleProject {
  const folder = mkdtempSync(join(tmpdir(), `espalier-${name}-`));
  cpSync(join(root, "examples", name), folder, {
    recursive: true,
    filter: (path) => ![".espalier", "data", "node_modules"].includes(basename(path)),
  });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, "data"));
  cpSync(join(root, "node_modules/vega-datasets/data", data), join(folder, "data", data));
  const espalier: ExampleProject["espalier"] = (...words) => {
    const result = spawnSync(process.execPath, [join(root, "apps/cli/src/main.ts"), ...words], {
      cwd: folder,
      encoding: "utf8",
    });
    return { code: result.status, out: result.stdout, err: result.stderr };
  };
  return {
    folder,
    espalier,
    run(pipeline, ...words) {
      const { code, out, err } = espalier("run", pipeline, "--json", ...words);
      if (code !== 0) throw new Error(`espalier run ${pipeline} ended with ${code}\n${err}\n${out}`);
      return JSON.parse(out);
    },
    value(detail, step, output) {
      const values = detail.steps.find((one) => one.step === step)?.values;
      if (values?.[output] === undefined) throw new Error(`${step} left no value ${output}`);
      return values[output];
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
