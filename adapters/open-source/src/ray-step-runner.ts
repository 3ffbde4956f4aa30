import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type CallContext, EspalierError, type StepRunner, type StepSpec, type StepStatus } from "@espalier/core";
import { createBatches } from "./ray-batches.ts";
import { connectRay, type RayApi } from "./ray-client.ts";
import type { RayConfig } from "./ray-config.ts";
import { createJobViews } from "./ray-jobs.ts";
import { taskResources } from "./ray-resources.ts";

export interface RayHost {
  /** Paths of `launcher.py` and `ray_driver.py`. */
  launcher: string;
  driver: string;
}

/** Of a job's metadata: the attempts that it began with. */
const jobMark = "espalier.attempts";
/** A job's log is read whole, so that it must not grow without end. */
const mostAttempts = 2_000;
const firstPollMilliseconds = 250;
const lastPollMilliseconds = 2_000;

/**
 * Attempts as tasks of Ray jobs. A job takes more of them while it runs; which ones, and how each ends, its driver tells in its log, by which they are found again.
 * Reaches no network before the first call.
 */
export function createRayStepRunner(config: RayConfig, host: RayHost, api: RayApi = connectRay(config)): StepRunner {
  const submitting = new Map<string, Promise<string>>();
  const startedAt = new Map<string, number>();
  const viewOf = createJobViews(api);
  const batches = createBatches<StepSpec>(submitTogether);
  const cancelled = new Map<string, Set<string>>();
  let open: { job: string; attempts: number } | undefined;
  let program: Promise<{ name: string; bytes: Uint8Array }> | undefined;

  /** Jobs of the attempts among these that are on the cluster already. */
  async function findSubmitted(specs: readonly StepSpec[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    if (specs.every(({ fresh }) => fresh === true)) return found;
    for (const { submission_id: job, metadata, status: state } of await api.jobs()) {
      if (!job || metadata?.[jobMark] === undefined) continue;
      // Another process may have put something there that the driver is about to take.
      while (state === "RUNNING" && (await api.hasPackage(`${batchName(job)}.more`)))
        await delay(firstPollMilliseconds);
      for (const attemptId of metadata[jobMark].split(",")) found.set(attemptId, job);
      for (const attemptId of (await viewOf(job)).taken()) found.set(attemptId, job);
    }
    return found;
  }

  async function submitTogether(specs: readonly StepSpec[]): Promise<string[]> {
    const jobs = await findSubmitted(specs);
    const fresh = specs.filter(({ attemptId }) => !jobs.has(attemptId));
    if (fresh.length > 0) {
      const job = await placeOf(fresh);
      for (const { attemptId } of fresh) {
        jobs.set(attemptId, job);
        startedAt.set(attemptId, Date.now());
      }
    }
    return specs.map(({ attemptId }) => jobs.get(attemptId) ?? "");
  }

  async function placeOf(specs: readonly StepSpec[]): Promise<string> {
    if (open !== undefined && open.attempts + specs.length <= mostAttempts && (await feed(open.job, specs))) {
      open.attempts += specs.length;
      return open.job;
    }
    const job = `espalier-${specs[0]?.attemptId ?? ""}`;
    await submitJob(job, specs);
    open = { job, attempts: specs.length };
    return job;
  }

  /** Gives a running job more to do. false: it ended before it took anything, so that another may. */
  async function feed(job: string, specs: readonly StepSpec[]): Promise<boolean> {
    if ((await viewOf(job)).state !== "running") return false;
    const more = { attempts: specs.map((spec) => attemptOf(spec)) };
    await api.putPackage(`${batchName(job)}.more`, Buffer.from(JSON.stringify(more)));
    for (;;) {
      await delay(firstPollMilliseconds);
      const view = await viewOf(job);
      if (specs.some(({ attemptId }) => view.line(attemptId) !== undefined)) return true;
      if (view.state === "over") return false;
      if (view.state === "unknown") {
        // What had begun there can not be known: as attempts of their own they are lost, and nothing runs twice under one id.
        open = undefined;
        throw new EspalierError("UNAVAILABLE", `Ray's head was started anew while it took attempts for job ${job}`);
      }
    }
  }

  async function submitJob(job: string, specs: readonly StepSpec[]): Promise<void> {
    program ??= readProgram(host);
    const { name, bytes } = await program;
    if (!(await api.hasPackage(name))) await api.putPackage(name, bytes);
    const batch = {
      attempts: specs.map((spec) => attemptOf(spec)),
      variables: config.work_folder === undefined ? {} : { ESPALIER_WORK: config.work_folder },
      ray_in_steps: config.ray_in_steps ?? false,
    };
    // In the head's store, not in the job's environment: that one every task of the job would have, and whoever looks at the job.
    await api.putPackage(batchName(job), Buffer.from(JSON.stringify(batch)));
    // A GET gives it a time after which Ray forgets it, should the driver never come to take it.
    await api.hasPackage(batchName(job));
    await api.submit({
      submission_id: job,
      entrypoint: `python -c '${bootstrap}' gcs://${name} gcs://${batchName(job)}`,
      metadata: { [jobMark]: specs.map(({ attemptId }) => attemptId).join(","), label: labelOf(specs) },
    });
  }

  async function status(text: string, context?: CallContext): Promise<StepStatus> {
    const { job, attemptId } = parseHandle(text);
    const told = (await viewOf(job, context)).statusOf(attemptId);
    const began = startedAt.get(attemptId);
    if (began !== undefined && told.state !== "pending" && told.state !== "running") {
      startedAt.delete(attemptId);
      batches.took(Date.now() - began);
    }
    return told;
  }

  return {
    sharesFiles: false,
    elsewhere: true,
    submit(spec) {
      const current =
        submitting.get(spec.attemptId) ??
        checked(spec)
          .then(() => batches.add(spec))
          .then((job) => formatHandle({ job, attemptId: spec.attemptId }));
      submitting.set(spec.attemptId, current);
      const forget = (): boolean => submitting.delete(spec.attemptId);
      current.then(forget, forget);
      return current;
    },
    status,
    async logs(text, offset, context) {
      const { job, attemptId } = parseHandle(text);
      const line = (await viewOf(job, context)).line(attemptId);
      const bytes = Buffer.from(line?.espalier === "ended" ? line.words : "").subarray(offset);
      return { bytes, next: offset + bytes.length };
    },
    async cancel(text, _graceSeconds, context) {
      const { job, attemptId } = parseHandle(text);
      const { state } = (await viewOf(job, context)).statusOf(attemptId);
      if (state !== "pending" && state !== "running") return;
      const asked = cancelled.get(job) ?? new Set();
      cancelled.set(job, asked.add(attemptId));
      // All that were asked for so far: the driver reads what stands there now, and two writes at once may come in either order.
      await api.putPackage(`${batchName(job)}.cancel`, Buffer.from(JSON.stringify([...asked])), context);
    },
    async wait(text, context) {
      for (let pause = firstPollMilliseconds; ; pause = Math.min(pause * 1.5, lastPollMilliseconds)) {
        const told = await status(text, context);
        if (told.state !== "pending" && told.state !== "running") return told;
        await delay(pause, undefined, context?.signal ? { signal: context.signal } : {});
      }
    },
  };
}

/** Without a quote, since it stands in single ones. `python/ray_driver.py` tells why it is no working folder. */
const bootstrap = [
  "import json, sys, ray",
  "from ray.experimental.internal_kv import _internal_kv_get",
  "ray.init(log_to_driver=False)",
  "program = json.loads(_internal_kv_get(sys.argv[1]))",
  'exec(compile(program["driver"], "ray_driver.py", "exec"))',
].join("; ");

/** Driver and launcher, under their content's name, so that they are uploaded once. */
async function readProgram(host: RayHost): Promise<{ name: string; bytes: Uint8Array }> {
  const [launcher, driver] = await Promise.all([readFile(host.launcher, "utf8"), readFile(host.driver, "utf8")]);
  const bytes = Buffer.from(JSON.stringify({ launcher, driver }));
  return { name: `espalier-${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}.zip`, bytes };
}

async function checked(spec: StepSpec): Promise<void> {
  const { work, image, label } = spec;
  taskResources(spec);
  if (work.kind !== "remote") {
    throw new EspalierError("INTERNAL", `This Ray runner can not take ${work.kind} work`, { at: label });
  }
  if (image === undefined) return;
  throw new EspalierError("INVALID_INPUT", "Ray tasks are not run in an image", {
    at: label,
    hint: "Remove `image` from the compute, or bring the environment by `environment: { python: ... }`.",
  });
}

function attemptOf(spec: StepSpec): object {
  if (spec.work.kind !== "remote") throw new EspalierError("INTERNAL", "Only remote work goes to Ray");
  return {
    id: spec.attemptId,
    name: spec.label,
    manifest_url: spec.work.manifestUrl,
    token: spec.work.token,
    nodes: spec.nodes ?? 1,
    resources: taskResources(spec),
  };
}

const batchName = (job: string): string => `${job}.zip`;

const labelOf = (specs: readonly StepSpec[]): string =>
  `${specs[0]?.label ?? ""}${specs.length > 1 ? ` and ${specs.length - 1} more` : ""}`;

interface Handle {
  job: string;
  attemptId: string;
}

const formatHandle = ({ job, attemptId }: Handle): string => JSON.stringify([job, attemptId]);

function parseHandle(text: string): Handle {
  const [job, attemptId] = JSON.parse(text) as [string, string];
  return { job, attemptId };
}
