import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Artifacts,
  type BuiltinDeclaration,
  createArtifacts,
  createEngine,
  type Engine,
  type RecordStep,
  Secret,
  ulid,
} from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles, createProcessRunner, dataBuiltins } from "@espalier/embedded";
import { createPythonEnvironments, createStaging, platformName } from "@espalier/host";
import { openRecord, type ProjectRecord } from "@espalier/server";

/** Engine, record, store and process runner of one project folder, with nothing around them: what the fault scripts kill. */
export interface Plane {
  engine: Engine;
  record: ProjectRecord;
  artifacts: Artifacts;
  stateFolder: string;
  close(): Promise<void>;
}

export async function openPlane(
  projectFolder: string,
  extra: { builtins?: readonly BuiltinDeclaration[]; recordSteps?: Readonly<Record<string, RecordStep>> } = {},
): Promise<Plane> {
  const stateFolder = join(projectFolder, ".espalier");
  mkdirSync(stateFolder, { recursive: true });
  const record = await openRecord({ sqlitePath: join(stateFolder, "record.db") }, "faults", { soleOwner: true });
  const artifacts = createArtifacts(
    createFilesystemArtifactStore({ path: join(stateFolder, "store") }),
    createLocalFiles(),
  );
  const environments = createPythonEnvironments();
  const staging = createStaging({
    stateFolder,
    artifacts,
    secrets: { get: async (name) => (name === "GREETING" ? new Secret("hush-hush-hush") : undefined) },
    pythonBin: async ({ lock, pythonVersion }) => {
      const text = Buffer.from(await artifacts.readBytes(lock, undefined, 1024 * 1024)).toString("utf8");
      return environments.bin(text, pythonVersion);
    },
  });
  const runner = createProcessRunner();
  const builtins = Object.fromEntries([...dataBuiltins, ...(extra.builtins ?? [])].map((one) => [one.name, one]));
  const engine = createEngine({
    record: record.engine,
    artifacts,
    staging,
    runnerFor: () => ({ runner, tool: "embedded/process", name: "process", limit: availableParallelism() }),
    builtins,
    recordSteps: extra.recordSteps ?? {},
    owner: `faults-${process.pid}`,
    platform: platformName(),
    newId: ulid,
    clock: { now: Date.now, delay: (milliseconds, signal) => delay(milliseconds, undefined, { signal }) },
    leaseSeconds: 30,
    graceSeconds: 2,
    onError: (error, context) => console.error(`${context.doing}:`, error),
  });
  return {
    engine,
    record,
    artifacts,
    stateFolder,
    async close() {
      await engine.stop();
      await record.close();
    },
  };
}

/** A folder of small files, made anew. */
export function writeProject(folder: string, files: Readonly<Record<string, string>>): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}
