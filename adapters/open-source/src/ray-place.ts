import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { EspalierError, isEspalierError, type StepSpec } from "@espalier/core";
import type { RayApi, RayJobRequest } from "./ray-client.ts";
import type { RayConfig } from "./ray-config.ts";
import type { JobView, ViewJob } from "./ray-jobs.ts";
import { withPatience } from "./ray-patience.ts";
import { taskResources } from "./ray-resources.ts";
import { feedName, jobMark } from "./ray-submitted.ts";

export interface RayHost {
  /** Paths of `launcher.py` and `ray_driver.py`. */
  launcher: string;
  driver: string;
}

/** A job's log is read whole, so that it must not grow without end. */
const mostAttempts = 2_000;
/** Who submitted a job: another control plane may have one under the same name. */
const planeMark = "espalier.plane";
const pollMilliseconds = 250;
const patienceMilliseconds = 120_000;
const feedMilliseconds = 300_000;

/**
 * Puts attempts into the job that takes more just now, or into a new one; gives its name. CONFLICT: another control plane has a job under the name that begins with the
 * first of these attempts, so that they have to be looked for again; `suffix` then makes another name.
 */
export function createPlaces(
  config: RayConfig,
  host: RayHost,
  api: RayApi,
  viewOf: ViewJob,
): (specs: readonly StepSpec[], suffix?: string) => Promise<string> {
  const plane = crypto.randomUUID();
  let open: { job: string; attempts: number; feeds: number } | undefined;
  let program: Promise<{ name: string; bytes: Uint8Array }> | undefined;
  const patiently = <T>(ask: () => Promise<T>): Promise<T> => withPatience(ask, patienceMilliseconds);

  /** Gives a running job more to do. false: it ended before it took anything, so that another may. */
  async function feed(into: { job: string; feeds: number }, specs: readonly StepSpec[]): Promise<boolean> {
    const look = (): Promise<JobView> => patiently(() => viewOf(into.job));
    if ((await look()).state !== "running") return false;
    into.feeds += 1;
    const name = feedName(into.job, into.feeds);
    const more = Buffer.from(JSON.stringify({ attempts: specs.map((spec) => attemptOf(spec)) }));
    const deadline = Date.now() + feedMilliseconds;
    try {
      await patiently(() => api.putPackage(name, more));
      for (;;) {
        await delay(pollMilliseconds);
        const view = await look();
        if (specs.some(({ attemptId }) => view.line(attemptId) !== undefined)) return true;
        if (view.state === "over") {
          await forget(name);
          return false;
        }
        if (view.state !== "running" || Date.now() > deadline) {
          // What had begun there can not be known: as attempts of their own they are lost, and nothing runs twice under one id.
          throw new EspalierError("UNAVAILABLE", `Whether Ray job ${into.job} took its attempts can not be known`);
        }
      }
    } catch (error) {
      open = undefined;
      await forget(name);
      throw error;
    }
  }

  /** Ray has no route that deletes it, but forgets ten minutes after a GET what nobody uses. */
  async function forget(name: string): Promise<void> {
    try {
      await api.hasPackage(name);
    } catch (error) {
      // It then lies there unread, under a name that is not used again.
      if (!isEspalierError(error) || !error.retryable) throw error;
    }
  }

  async function submitJob(job: string, specs: readonly StepSpec[]): Promise<void> {
    program ??= readProgram(host);
    const { name, bytes } = await program;
    if (!(await patiently(() => api.hasPackage(name)))) await patiently(() => api.putPackage(name, bytes));
    const batch = {
      attempts: specs.map((spec) => attemptOf(spec)),
      variables: config.work_folder === undefined ? {} : { ESPALIER_WORK: config.work_folder },
      ray_in_steps: config.ray_in_steps ?? false,
    };
    // In the head's store, not in the job's environment: that one every task of the job would have, and whoever looks at the job.
    const batchName = `${job}-${plane}.zip`;
    await patiently(() => api.putPackage(batchName, Buffer.from(JSON.stringify(batch))));
    // A GET gives it a time after which Ray forgets it, should the driver never come to take it.
    await patiently(() => api.hasPackage(batchName));
    await submitOnce({
      submission_id: job,
      entrypoint: `python -c '${bootstrap}' gcs://${name} gcs://${batchName} gcs://${job}`,
      metadata: {
        [jobMark]: specs.map(({ attemptId }) => attemptId).join(","),
        [planeMark]: plane,
        label: labelOf(specs),
      },
    });
  }

  /** An answer that was lost says nothing of the job: Ray is asked whether it is there, and whose it is. */
  async function submitOnce(request: RayJobRequest): Promise<void> {
    await patiently(async () => {
      try {
        await api.submit(request);
      } catch (error) {
        if (!isEspalierError(error) || (error.code !== "CONFLICT" && !error.retryable)) throw error;
        const there = await api.job(request.submission_id);
        if (there?.metadata?.[planeMark] !== plane) throw error;
      }
    });
  }

  return async (specs, suffix = "") => {
    if (open !== undefined && open.attempts + specs.length <= mostAttempts && (await feed(open, specs))) {
      open.attempts += specs.length;
      return open.job;
    }
    const job = `espalier-${specs[0]?.attemptId ?? ""}${suffix}`;
    await submitJob(job, specs);
    open = { job, attempts: specs.length, feeds: 0 };
    return job;
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

const labelOf = (specs: readonly StepSpec[]): string =>
  `${specs[0]?.label ?? ""}${specs.length > 1 ? ` and ${specs.length - 1} more` : ""}`;
