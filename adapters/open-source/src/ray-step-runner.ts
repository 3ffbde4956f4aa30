import { setTimeout as delay } from "node:timers/promises";
import {
  type CallContext,
  EspalierError,
  isEspalierError,
  type StepRunner,
  type StepSpec,
  type StepStatus,
} from "@espalier/core";
import { createBatches } from "./ray-batches.ts";
import { connectRay, type RayApi } from "./ray-client.ts";
import type { RayConfig } from "./ray-config.ts";
import { createJobViews } from "./ray-jobs.ts";
import { withPatience } from "./ray-patience.ts";
import { createPlaces, type RayHost } from "./ray-place.ts";
import { taskResources } from "./ray-resources.ts";
import { createFinder } from "./ray-submitted.ts";
import { createJobsToTell } from "./ray-tidy.ts";

const firstPollMilliseconds = 250;
const lastPollMilliseconds = 2_000;
const patienceMilliseconds = 120_000;

/**
 * Attempts as tasks of Ray jobs. A job takes more of them while it runs; which ones, and how each ends, its driver tells in its log, by which they are found again.
 * Reaches no network before the first call.
 */
export function createRayStepRunner(config: RayConfig, host: RayHost, api: RayApi = connectRay(config)): StepRunner {
  const submitting = new Map<string, Promise<string>>();
  const startedAt = new Map<string, number>();
  const viewOf = createJobViews(api);
  const findSubmitted = createFinder(api, viewOf);
  const placeOf = createPlaces(config, host, api, viewOf);
  const jobsToTell = createJobsToTell(api, config.keep_jobs_hours);
  const batches = createBatches<StepSpec>(submitTogether);

  async function submitTogether(specs: readonly StepSpec[]): Promise<string[]> {
    const find = (): Promise<Map<string, string>> => withPatience(findSubmitted, patienceMilliseconds);
    let jobs = specs.every(({ fresh }) => fresh === true) ? new Map<string, string>() : await find();
    const missing = (): StepSpec[] => specs.filter(({ attemptId }) => !jobs.has(attemptId));
    const place = async (suffix?: string): Promise<void> => {
      const those = missing();
      if (those.length === 0) return;
      const job = await placeOf(those, suffix);
      for (const { attemptId } of those) {
        jobs.set(attemptId, job);
        startedAt.set(attemptId, Date.now());
      }
    };
    try {
      await place();
    } catch (error) {
      if (!isEspalierError(error) || error.code !== "CONFLICT") throw error;
      // Another control plane, which drove the run before this one, is submitting as well: what it has is there, the rest goes elsewhere.
      jobs = await find();
      await place(`-${crypto.randomUUID().slice(0, 8)}`);
    }
    for (const { attemptId } of specs) jobsToTell.placed(jobs.get(attemptId) ?? "", [attemptId]);
    await jobsToTell.tidy();
    return specs.map(({ attemptId }) => jobs.get(attemptId) ?? "");
  }

  async function status(text: string, context?: CallContext): Promise<StepStatus> {
    const { job, attemptId } = parseHandle(text);
    const told = (await viewOf(job, context)).statusOf(attemptId);
    const began = startedAt.get(attemptId);
    if (told.state !== "pending" && told.state !== "running") jobsToTell.told(job, attemptId);
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
    look: async (context) => `answers, ${(await api.jobs(context)).length} jobs on its list`,
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
      // A key for each attempt: another control plane may be asking for others of this job.
      await api.putPackage(cancelName(job, attemptId), Buffer.from(attemptId), context);
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

const cancelName = (job: string, attemptId: string): string => `${job}.cancel.${attemptId}.zip`;

interface Handle {
  job: string;
  attemptId: string;
}

const formatHandle = ({ job, attemptId }: Handle): string => JSON.stringify([job, attemptId]);

function parseHandle(text: string): Handle {
  const [job, attemptId] = JSON.parse(text) as [string, string];
  return { job, attemptId };
}
