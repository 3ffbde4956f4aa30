import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { chmod, copyFile, mkdir, open, rename, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type ArtifactRef,
  type Artifacts,
  type ByteStream,
  EspalierError,
  isTree,
  renderCommand,
  type SecretStore,
  type StepStatus,
  type TreeEntry,
  type WorkOrder,
} from "@espalier/core";
import { type AttemptFolder, attemptFolder, isThere, modifiedAt, readIfThere, sizeOf } from "./attempt-folder.ts";
import { revealSecrets } from "./secrets.ts";
import type { StepVariables } from "./staging.ts";
import { readToken } from "./token.ts";
import { portableVariables } from "./variables.ts";

interface UploadedFile {
  path: string;
  size: number;
  sha256: string;
  executable: boolean;
}
type Uploads = Readonly<Record<string, { files: readonly UploadedFile[] }>>;

export interface RemoteAttemptsOptions {
  /** `<project>/.espalier` */
  stateFolder: string;
  artifacts: Artifacts;
  secrets: SecretStore;
  /** As in `StagingOptions`. */
  variables?: StepVariables;
  /** true: steps log by MLflow to files that their launcher brings. */
  mlflowFiles?: boolean;
}

/** The control plane's half of `docs/launcher-protocol.md`, for whoever serves its routes. Schemas: `@espalier/contract`, launcher.ts. */
export interface RemoteAttempts {
  manifest(attemptId: string): Promise<Record<string, unknown>>;
  /** Bytes of one file of an input; `name` is `@source` for the source tree, `path` empty for a single file. */
  openInput(attemptId: string, name: string, path: string): Promise<{ size: number; body: ByteStream }>;
  /** CONFLICT with `next` in the details when bytes between are missing; what is known already is ignored. */
  append(attemptId: string, file: "log" | "events", offset: number, bytes: Uint8Array): Promise<{ next: number }>;
  /** Remembers what the step left; gives what has to be uploaded. */
  declareOutputs(attemptId: string, outputs: Uploads): Promise<{ missing: { sha256: string; size: number }[] }>;
  /** The same for the file store that the step logged to by MLflow. */
  declareRuns(
    attemptId: string,
    files: readonly UploadedFile[],
  ): Promise<{ missing: { sha256: string; size: number }[] }>;
  /** That store, laid out; the folder. */
  layOutRuns(attemptId: string): Promise<string>;
  /** INVALID_INPUT when the bytes are not those of the digest, or nobody declared it. */
  putBlob(attemptId: string, sha256: string, body: ByteStream): Promise<void>;
  /** The last word, once there is one, and for how long nothing was heard: for a launcher that came second. */
  standing(
    attemptId: string,
  ): Promise<{ exitCode?: number; cancelled?: boolean; error?: string; silentSeconds: number }>;
  exit(attemptId: string, exit: { exitCode: number; cancelled?: boolean; error?: string }): Promise<void>;
}

export function createRemoteAttempts(options: RemoteAttemptsOptions): RemoteAttempts {
  const { artifacts, stateFolder } = options;
  const folderOf = (attemptId: string): AttemptFolder => attemptFolder(stateFolder, attemptId);
  // Appends of one file come one after another; a retried request may overlap the one it repeats.
  const appends = new Map<string, Promise<unknown>>();

  return {
    async manifest(attemptId) {
      const order = await readOrder(folderOf(attemptId), attemptId);
      const download = async (name: string, ref: ArtifactRef): Promise<unknown[]> => {
        const entries = isTree(ref)
          ? await artifacts.entries(ref)
          : [{ path: "", size: ref.size, sha256: ref.digest.slice(7), executable: false }];
        const base = `/api/v1/attempts/${attemptId}/inputs/${encodeURIComponent(name)}`;
        return entries.map((entry) => ({ ...entry, url: `${base}?path=${encodeURIComponent(entry.path)}` }));
      };
      const inputs: Record<string, unknown> = {};
      for (const [name, ref] of Object.entries(order.inputs)) {
        inputs[name] = { type: ref.type, files: await download(name, ref) };
      }
      const lock = order.environment?.lock;
      // The launcher's token is the step's too: both are good for this attempt alone.
      const token = (await readToken(folderOf(attemptId))) ?? "";
      return {
        protocol: 1,
        attemptId,
        runId: order.runId,
        step: order.step,
        command: "builtin" in order.program ? builtinCommand(order.program.builtin) : renderCommand(order),
        variables: {
          ...portableVariables(order),
          ...(await options.variables?.(order, { token, elsewhere: true, launched: true })),
          ...(await revealSecrets(options.secrets, order)),
        },
        params: order.params,
        inputs,
        ...(order.source ? { source: await sourceFiles(order, download) } : {}),
        outputs: Object.fromEntries(Object.entries(order.outputs).map(([name, { type }]) => [name, { type }])),
        ...(lock ? { environment: { requirements: await textOf(artifacts, lock) } } : {}),
        ...(options.mlflowFiles === true ? { mlflow: "files" } : {}),
        ...(order.timeoutSeconds === undefined ? {} : { timeoutSeconds: order.timeoutSeconds }),
        graceSeconds: order.graceSeconds,
      };
    },
    async openInput(attemptId, name, path) {
      const order = await readOrder(folderOf(attemptId), attemptId);
      const ref = name === "@source" ? order.source : order.inputs[name];
      if (!ref) throw new EspalierError("NOT_FOUND", `Attempt ${attemptId} has no input ${name}`);
      return artifacts.open(ref, isTree(ref) ? path : undefined);
    },
    append(attemptId, file, offset, bytes) {
      const path = folderOf(attemptId)[file];
      const next = (appends.get(path) ?? Promise.resolve()).then(() => appendBytes(path, offset, bytes));
      const settled = next
        .catch(() => undefined)
        .finally(() => {
          if (appends.get(path) === settled) appends.delete(path);
        });
      appends.set(path, settled);
      return next;
    },
    async declareOutputs(attemptId, outputs) {
      const folder = folderOf(attemptId);
      const order = await readOrder(folder, attemptId);
      checkPaths(order, outputs);
      await mkdir(join(folder.root, "blobs"), { recursive: true });
      await writeWhole(outputsFile(folder), JSON.stringify(outputs));
      return missingOf(artifacts, folder, filesOf(outputs));
    },
    async declareRuns(attemptId, files) {
      const folder = folderOf(attemptId);
      await readOrder(folder, attemptId);
      if (!files.every(isPlain))
        throw new EspalierError("INVALID_INPUT", `Attempt ${attemptId} may not leave such files`);
      await mkdir(join(folder.root, "blobs"), { recursive: true });
      await writeWhole(runsFile(folder), JSON.stringify({ mlruns: { files } }));
      return missingOf(artifacts, folder, files);
    },
    async layOutRuns(attemptId) {
      const folder = folderOf(attemptId);
      await layOut(artifacts, folder, folder.root, await readUploads(runsFile(folder)));
      return join(folder.root, "mlruns");
    },
    async putBlob(attemptId, sha256, body) {
      const folder = folderOf(attemptId);
      const declared = [
        ...filesOf(await readUploads(outputsFile(folder))),
        ...filesOf(await readUploads(runsFile(folder))),
      ];
      const wanted = declared.find((file) => file.sha256 === sha256);
      if (!wanted) throw new EspalierError("INVALID_INPUT", `No file of attempt ${attemptId} has the digest ${sha256}`);
      await receive(join(folder.root, "blobs", sha256), body, wanted);
    },
    async standing(attemptId) {
      const folder = folderOf(attemptId);
      await readOrder(folder, attemptId);
      const word = await readIfThere(exitFile(folder));
      const heardAt = (await modifiedAt(folder.log)) ?? (await modifiedAt(join(folder.root, "order.json"))) ?? 0;
      const silentSeconds = Math.max(0, (Date.now() - heardAt) / 1_000);
      return { ...(word === undefined ? {} : (JSON.parse(word) as { exitCode: number })), silentSeconds };
    },
    async exit(attemptId, exit) {
      await writeWhole(exitFile(folderOf(attemptId)), JSON.stringify(exit));
    },
  };
}

/** Built-in steps are Espalier's own code: elsewhere the step's image has it, or the step says what is missing. */
function builtinCommand(name: string): string {
  const missing = `error: NOT_INSTALLED The built-in step \`${name}\` needs \`espalier\` where it runs, and there is none on the PATH`;
  const hint =
    " hint: Put the npm package `espalier` into the image of the compute, or leave `compute:` out of the step.";
  const tell = [missing, hint].map((line) => `echo '${line}' >&2`).join("; ");
  return `command -v espalier >/dev/null 2>&1 || { ${tell}; exit 3; }; exec espalier builtin-step '${name}'`;
}

async function sourceFiles(
  order: WorkOrder,
  download: (name: string, ref: ArtifactRef) => Promise<unknown[]>,
): Promise<unknown[]> {
  const files = order.source ? await download("@source", order.source) : [];
  if (order.sourceName === undefined) return files;
  return files.map((file) => ({ ...(file as object), path: order.sourceName }));
}

export async function writeOrder(folder: AttemptFolder, order: WorkOrder): Promise<void> {
  await writeWhole(join(folder.root, "order.json"), JSON.stringify(order));
}

async function readOrder(folder: AttemptFolder, attemptId: string): Promise<WorkOrder> {
  const text = await readIfThere(join(folder.root, "order.json"));
  if (text === undefined) {
    throw new EspalierError("CONFLICT", `Attempt ${attemptId} is over, or was never meant for another machine`);
  }
  return JSON.parse(text) as WorkOrder;
}

const outputsFile = (folder: AttemptFolder): string => join(folder.root, "uploads.json");
const runsFile = (folder: AttemptFolder): string => join(folder.root, "runs.json");
const filesOf = (uploads: Uploads): UploadedFile[] => Object.values(uploads).flatMap(({ files }) => files);

async function readUploads(path: string): Promise<Uploads> {
  const text = await readIfThere(path);
  return text === undefined ? {} : (JSON.parse(text) as Uploads);
}

const exitFile = (folder: AttemptFolder): string => join(folder.root, "launcher-exit.json");

/** What the launcher told at its end, as a runner would. */
export async function readLastWord(folder: AttemptFolder): Promise<StepStatus | undefined> {
  const text = await readIfThere(exitFile(folder));
  if (text === undefined) return undefined;
  const { exitCode, cancelled, error } = JSON.parse(text) as { exitCode: number; cancelled?: boolean; error?: string };
  if (error !== undefined) return { state: "lost", message: `the launcher gave up: ${error}` };
  return cancelled ? { state: "cancelled" } : { state: "exited", exitCode };
}

/** What came by the launcher's routes, laid out as if the step had run here. */
export async function layOutUploads(artifacts: Artifacts, folder: AttemptFolder): Promise<void> {
  await layOut(artifacts, folder, folder.outputs, await readUploads(outputsFile(folder)));
}

async function layOut(artifacts: Artifacts, folder: AttemptFolder, root: string, uploads: Uploads): Promise<void> {
  for (const [name, { files }] of Object.entries(uploads)) {
    for (const { path, sha256, size, executable } of files) {
      const target = path === "" ? join(root, name) : join(root, name, path);
      await mkdir(dirname(target), { recursive: true });
      const blob = join(folder.root, "blobs", sha256);
      if (await isThere(blob)) await copyFile(blob, target, constants.COPYFILE_FICLONE);
      else await artifacts.materialise({ type: "file", digest: `sha256:${sha256}`, size }, target);
      if (executable) await chmod(target, 0o755);
    }
  }
}

async function missingOf(
  artifacts: Artifacts,
  folder: AttemptFolder,
  files: readonly UploadedFile[],
): Promise<{ missing: { sha256: string; size: number }[] }> {
  const missing = new Map<string, number>();
  for (const { sha256, size } of files) {
    if (!(await isHeld(artifacts, folder, sha256, size))) missing.set(sha256, size);
  }
  return { missing: [...missing].map(([sha256, size]) => ({ sha256, size })) };
}

async function isHeld(artifacts: Artifacts, folder: AttemptFolder, sha256: string, size: number): Promise<boolean> {
  if ((await sizeOf(join(folder.root, "blobs", sha256))) === size) return true;
  return artifacts.exists({ type: "file", digest: `sha256:${sha256}`, size });
}

/** Names come from another machine: none may lead out of the outputs folder. */
function checkPaths(order: WorkOrder, outputs: Uploads): void {
  for (const [name, { files }] of Object.entries(outputs)) {
    if (order.outputs[name] !== undefined && files.every(isPlain)) continue;
    throw new EspalierError(
      "INVALID_INPUT",
      `Attempt ${order.attemptId} may not leave ${JSON.stringify(name)} like this`,
    );
  }
}

function isPlain({ path, sha256 }: UploadedFile): boolean {
  const parts = path.split(/[\\/]/);
  const isInside = path === "" || parts.every((part) => part !== "" && part !== "." && part !== "..");
  return isInside && /^[0-9a-f]{64}$/.test(sha256);
}

async function appendBytes(path: string, offset: number, bytes: Uint8Array): Promise<{ next: number }> {
  const size = (await sizeOf(path)) ?? 0;
  if (offset > size) {
    throw new EspalierError("CONFLICT", `Bytes ${size} to ${offset} are missing`, { details: { next: size } });
  }
  const fresh = bytes.subarray(size - offset);
  // Nothing new is a sign of life, which `standing` reads from the file's time.
  if (fresh.length === 0 && (await isThere(path))) await utimes(path, new Date(), new Date());
  else await writeFile(path, fresh, { flag: "a" });
  return { next: size + Math.max(0, fresh.length) };
}

async function receive(path: string, body: ByteStream, wanted: Pick<TreeEntry, "sha256" | "size">): Promise<void> {
  const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  const hash = createHash("sha256");
  let size = 0;
  const file = await open(temporary, "wx", 0o600);
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > wanted.size) break;
      hash.update(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  if (size !== wanted.size || hash.digest("hex") !== wanted.sha256) {
    await rm(temporary, { force: true });
    throw new EspalierError("INVALID_INPUT", `The bytes received are not those of ${wanted.sha256}`);
  }
  await rename(temporary, path);
}

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

async function textOf(artifacts: Artifacts, ref: ArtifactRef): Promise<string> {
  return Buffer.from(await artifacts.readBytes(ref, undefined, 16 * 1024 * 1024)).toString("utf8");
}
