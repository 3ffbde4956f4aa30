import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";

const main = resolve(import.meta.dirname, "../../apps/cli/src/main.ts");

const pipeline = `
name: train
params: { which: first }
steps:
  train:
    run: cp -r \${{ inputs.models }}/\${{ params.which }} \${{ outputs.model }}
    inputs: { models: ./models }
    outputs: { model: model }
  register:
    uses: register
    gate: none
    inputs: { model: train.model }
    with: { name: clicks }
`;

export interface Answer {
  code: number | null;
  out: string;
  err: string;
}

export interface Packed {
  image: string;
  digest: `sha256:${string}`;
  sentBytes: number;
  heldBytes: number;
  layers: { what: string; digest: string; bytes: number }[];
  attached: { type: string; digest: string }[];
}

export interface PackagingProject {
  folder: string;
  /** Runs a command as a user types it. */
  espalier(words: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Packages, and gives what `--json` prints. */
  pack(words: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Packed>;
  close(): Promise<void>;
}

/** A project with three versions of one model: two of ONNX, and one that only Python runs. */
export async function packagingProject(): Promise<PackagingProject> {
  // Without upper case: Podman takes the path of a layout for a name.
  const folder = join(tmpdir(), `espalier-packaging-${randomBytes(6).toString("hex")}`, "project");
  mkdirSync(join(folder, "pipelines"), { recursive: true });
  mkdirSync(join(folder, "models"));
  writeFileSync(join(folder, "espalier.yaml"), "project: packaging\n");
  writeFileSync(join(folder, "pipelines/train.yaml"), pipeline);
  const signature = matrixSignature(["x0", "x1"]);
  for (const [name, bias] of [
    ["first", -2],
    ["second", 2],
  ] as const) {
    await writeModelFolder(join(folder, "models", name), logisticModel([1, 1], bias), signature);
  }
  const python = join(folder, "models/python");
  mkdirSync(join(python, "mlflow"), { recursive: true });
  writeFileSync(join(python, "signature.json"), JSON.stringify({ ...signature, format: "mlflow", payload: "mlflow" }));
  writeFileSync(
    join(python, "mlflow/MLmodel"),
    "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    pickled_model: model.pkl\n",
  );
  writeFileSync(join(python, "mlflow/model.pkl"), "never read");

  const espalier: PackagingProject["espalier"] = async (words, environment = {}) => {
    const child = spawn(process.execPath, [main, ...words], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { code, out, err };
  };
  const plane = await startPlane(folder);
  for (const which of ["first", "second", "python"]) {
    const { code, err } = await espalier(["run", "train", "-p", `which=${which}`]);
    if (code !== 0) throw new Error(`The run of ${which} ended with ${code}: ${err}`);
  }
  return {
    folder,
    espalier,
    async pack(words, environment) {
      const { code, out, err } = await espalier(["package", ...words, "--json"], environment);
      if (code !== 0) throw new Error(`espalier package ended with ${code}: ${out}${err}`);
      return JSON.parse(out) as Packed;
    },
    async close() {
      plane.kill("SIGTERM");
      await once(plane, "exit");
      rmSync(join(folder, ".."), { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Commands are then its clients, which takes less of a second each. What it finds of credentials is nothing, as in CI. */
async function startPlane(folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [main, "up", "--port", "0"], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", REGISTRY_AUTH_FILE: join(folder, "auth.json") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit").then(() => "ended");
  for await (const line of createInterface({ input: child.stdout })) if (line.includes("http://")) break;
  child.stdout.resume();
  if (child.exitCode !== null) throw new Error(`espalier up ${await ended}`);
  return child;
}

/** A blob of a layout, as JSON. */
export function readBlob<Shape>(layout: string, digest: string): Shape {
  return JSON.parse(readFileSync(join(layout, "blobs/sha256", digest.slice(7)), "utf8"));
}
