import { open, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type CallContext, EspalierError, type StepRunner, type StepSpec, type StepStatus } from "@espalier/core";
import { connectSlurm, type SlurmApi, type SlurmJob, type SlurmJobProperties } from "./slurm-client.ts";
import type { SlurmConfig } from "./slurm-config.ts";
import { batchScript, commandMain, launcherMain } from "./slurm-script.ts";
import { statusOfJob } from "./slurm-status.ts";

export interface SlurmHost {
  /** Path of `launcher.py`. */
  launcher: string;
}

const logChunkBytes = 1024 * 1024;
const mebibyte = 1024 * 1024;
const nodePath = "/usr/local/bin:/usr/bin:/bin";

/** Attempts as batch jobs. The job's comment carries the attempt id, by which it is found again. Reaches no network before the first call. */
export function createSlurmStepRunner(
  config: SlurmConfig,
  host: SlurmHost,
  api: SlurmApi = connectSlurm(config),
): StepRunner {
  const submitting = new Map<string, Promise<string>>();

  async function submit(spec: StepSpec, context?: CallContext): Promise<string> {
    const { attemptId, work } = spec;
    if ((work.kind === "local") !== (config.shares_project ?? false)) {
      throw new EspalierError("INTERNAL", `This Slurm runner can not take ${work.kind} work`, { at: spec.label });
    }
    const files = sharedFiles(config, spec);
    const handleOf = (jobId: number): string => formatHandle({ jobId, attemptId, files });
    const ended = files === undefined ? undefined : await readExit(files);
    if (ended !== undefined) return handleOf(ended.job);
    const jobs = spec.fresh === true ? [] : await api.jobs(context);
    const own = jobs.filter((job) => isOf(job, attemptId) && job.user_name === config.user);
    const first = own.map((job) => job.job_id).sort((a, b) => a - b)[0];
    if (first !== undefined) return handleOf(first);
    const main =
      work.kind === "local"
        ? commandMain(work.workingDirectory, work.command)
        : launcherMain(config.python ?? "python3", work.manifestUrl, await readLauncher(host.launcher));
    const script = batchScript({
      main,
      ...(config.setup === undefined ? {} : { setup: config.setup }),
      ...(files === undefined ? {} : { exitFile: `${files}exit.json` }),
    });
    // From here on a step may be reading its folder, which must not be laid out again.
    if (work.kind === "local") await writeFile(`${files}identity`, "slurm\n");
    return handleOf(await api.submit({ script, job: jobProperties(config, spec, files) }, context));
  }

  /** Numbers of jobs begin anew on a cluster that was set up anew, so the number alone proves nothing. */
  async function find(handle: Handle, context?: CallContext): Promise<SlurmJob | undefined> {
    const job = await api.job(handle.jobId, context);
    return job && isOf(job, handle.attemptId) ? job : undefined;
  }

  async function status(text: string, context?: CallContext): Promise<StepStatus> {
    const handle = parseHandle(text);
    const job = await find(handle, context);
    if (job) return statusOfJob(job);
    const ended = handle.files === undefined ? undefined : await readExit(handle.files);
    if (ended) return { state: "exited", exitCode: ended.exitCode };
    return { state: "lost", message: `Slurm no longer knows job ${handle.jobId}` };
  }

  return {
    sharesFiles: config.shares_project ?? false,
    elsewhere: true,
    submit(spec, context) {
      // Two calls at once would both find nothing and both submit.
      const current = submitting.get(spec.attemptId) ?? submit(spec, context);
      submitting.set(spec.attemptId, current);
      const forget = (): boolean => submitting.delete(spec.attemptId);
      current.then(forget, forget);
      return current;
    },
    status,
    async logs(text, offset) {
      const { files } = parseHandle(text);
      return files === undefined ? { bytes: new Uint8Array(), next: offset } : readLog(`${files}log`, offset);
    },
    look: async (context) => `answers, ${(await api.jobs(context)).length} jobs in its memory`,
    // Slurm itself sends SIGKILL later, and does so also when the control plane is gone by then; the launcher does after the step's grace.
    async cancel(text, _graceSeconds, context) {
      const handle = parseHandle(text);
      const job = await find(handle, context);
      const state = job && statusOfJob(job).state;
      const mayStart = job !== undefined && (job.restart_cnt ?? 0) > 0;
      if (state === "pending" || state === "running" || mayStart) await api.cancel(handle.jobId, context);
    },
  };
}

const commentOf = (attemptId: string): string => `espalier:${attemptId}`;
const isOf = (job: SlurmJob, attemptId: string): boolean => job.comment === commentOf(attemptId);

/**
 * What the paths of `log` and `exit.json` begin with. In the shared folder the job's user makes both, who need not be the control plane's;
 * a folder made for them here would be closed to that user.
 */
function sharedFiles(config: SlurmConfig, { work, attemptId }: StepSpec): string | undefined {
  if (work.kind === "local") return `${work.attemptDirectory}/`;
  if (config.shared_folder === undefined) return undefined;
  return join(config.shared_folder, `${attemptId.replaceAll(/[^A-Za-z0-9._-]/g, "_")}.`);
}

function jobProperties(config: SlurmConfig, spec: StepSpec, files: string | undefined): SlurmJobProperties {
  const { work, resources } = spec;
  if (spec.image !== undefined) {
    throw new EspalierError("INVALID_INPUT", "Slurm jobs are not run in an image", {
      at: spec.label,
      hint: "Remove `image` from the compute, or bring the environment by `environment: { python: ... }`.",
    });
  }
  if (spec.nodes !== undefined && spec.nodes > 1) {
    throw new EspalierError("INVALID_INPUT", "Steps on several nodes are not run by Slurm here", {
      at: spec.label,
      hint: "Give the step another `compute` (Ray, or this machine), or let its command call `srun` itself.",
    });
  }
  const variables: Record<string, string> =
    work.kind === "local"
      ? { ...work.variables }
      : {
          PATH: nodePath,
          // Not in the script, which others may be able to read; the environment of a job they can not.
          ESPALIER_TOKEN: work.token,
          ...(config.work_folder === undefined ? {} : { ESPALIER_WORK: config.work_folder }),
        };
  const { cpu, memoryBytes, gpu } = resources;
  return {
    name: spec.label,
    comment: commentOf(spec.attemptId),
    environment: variables,
    current_working_directory: work.kind === "local" ? work.attemptDirectory : "/",
    // Slurm replaces `%j` and the like in the path.
    standard_output: files === undefined ? "/dev/null" : `${files}log`.replaceAll("%", "%%"),
    open_mode: "append",
    tasks: 1,
    no_requeue: true,
    ...(cpu === undefined ? {} : { cpus_per_task: Math.ceil(cpu) }),
    ...(memoryBytes === undefined ? {} : { memory_per_node: Math.ceil(memoryBytes / mebibyte) }),
    ...(gpu === undefined ? {} : { gres: `gpu:${gpu.type === undefined ? "" : `${gpu.type}:`}${gpu.count}` }),
    ...(spec.timeoutSeconds === undefined ? {} : { time_limit: limitMinutes(spec) }),
    ...(config.partition === undefined ? {} : { partition: config.partition }),
    ...(config.account === undefined ? {} : { account: config.account }),
    ...(config.qos === undefined ? {} : { qos: config.qos }),
  };
}

/** Beyond the engine's own timeout, which tells it better; a job without a limit would wait longer, for it fits into no gap. */
const limitMinutes = (spec: StepSpec): number => Math.ceil(((spec.timeoutSeconds ?? 0) + spec.graceSeconds) / 60) + 1;

interface Handle {
  jobId: number;
  attemptId: string;
  files: string | undefined;
}

const formatHandle = ({ jobId, attemptId, files }: Handle): string => JSON.stringify([jobId, attemptId, files ?? ""]);

function parseHandle(text: string): Handle {
  const [jobId, attemptId, files] = JSON.parse(text) as [number, string, string];
  return { jobId, attemptId, files: files === "" ? undefined : files };
}

async function readLauncher(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new EspalierError("INTERNAL", `The launcher is missing from ${dirname(path)}`, { cause });
  }
}

async function readExit(files: string): Promise<{ exitCode: number; job: number } | undefined> {
  try {
    return JSON.parse(await readFile(`${files}exit.json`, "utf8")) as { exitCode: number; job: number };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readLog(path: string, offset: number): Promise<{ bytes: Uint8Array; next: number }> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (error) {
    if (isMissing(error)) return { bytes: new Uint8Array(), next: offset };
    throw error;
  }
  try {
    const buffer = Buffer.alloc(logChunkBytes);
    const { bytesRead } = await file.read(buffer, 0, logChunkBytes, offset);
    return { bytes: buffer.subarray(0, bytesRead), next: offset + bytesRead };
  } finally {
    await file.close();
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";
