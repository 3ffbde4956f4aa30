import { readFile } from "node:fs/promises";
import { type CallContext, EspalierError, type StepRunner, type StepSpec, type StepStatus } from "@espalier/core";
import { z } from "zod";
import { connectKubernetes, type KubernetesApi, type KubernetesObject } from "./kubernetes-client.ts";
import type { KubernetesConfig } from "./kubernetes-config.ts";
import { cancelledAnnotation, jobName, jobOf, secretOf, serviceOf } from "./kubernetes-job.ts";
import { statusOfJob } from "./kubernetes-status.ts";

export interface KubernetesHost {
  /** Path of `launcher.py`. */
  launcher: string;
}

const defaultPullSeconds = 300;
const batch = "batch/v1";
const eventSchema = z.looseObject({ type: z.string().nullish(), message: z.string().nullish() });

/** Attempts as Jobs, named after the attempt's id, by which they are found again. Reaches no network before the first call. */
export function createKubernetesStepRunner(
  config: KubernetesConfig,
  host: KubernetesHost,
  api: KubernetesApi = connectKubernetes(config),
): StepRunner {
  async function submit(spec: StepSpec, context?: CallContext): Promise<string> {
    const name = jobName(spec.attemptId);
    const job = jobOf(config, spec, await readFile(host.launcher, "utf8"));
    const made = (await api.create(batch, "jobs", job, context)) ?? (await api.read(batch, "jobs", name, context));
    const uid = made?.metadata.uid;
    if (uid === undefined) {
      throw new EspalierError("UNAVAILABLE", `Kubernetes: job ${name} went away while it was made`, { at: spec.label });
    }
    // After the job, which owns them: its pod waits for the secret. A submit that was cut off here comes again.
    try {
      if (spec.work.kind === "remote") await api.create("v1", "secrets", secretOf(name, uid, spec.work.token), context);
      if ((spec.nodes ?? 1) > 1) await api.create("v1", "services", serviceOf(name, uid), context);
    } catch (error) {
      // Its attempt has failed with this; the job would wait for ever for what it will never get.
      await api.remove(batch, "jobs", name);
      throw error;
    }
    return name;
  }

  const podsOf = (name: string, context?: CallContext): Promise<KubernetesObject[]> =>
    api.list("v1", "pods", { labelSelector: `batch.kubernetes.io/job-name=${name}` }, context);

  /** Only of a job without a pod: there the reason is nowhere else. */
  async function warningsOf(name: string, context?: CallContext): Promise<string[]> {
    const fieldSelector = `involvedObject.kind=Job,involvedObject.name=${name},type=Warning`;
    const events = await api.list("v1", "events", { fieldSelector }, context);
    return events.flatMap((event) => eventSchema.parse(event).message ?? []);
  }

  async function status(name: string, context?: CallContext): Promise<StepStatus> {
    const job = await api.read(batch, "jobs", name, context);
    if (job === undefined) return { state: "lost", message: `Kubernetes no longer has job ${name}` };
    const pods = await podsOf(name, context);
    const warnings = pods.length === 0 ? await warningsOf(name, context) : [];
    const pullSeconds = config.pull_seconds ?? defaultPullSeconds;
    const told = statusOfJob({ job, pods, warnings, pullSeconds, nowMilliseconds: Date.now() });
    if (told.gaveUp) await api.remove(batch, "jobs", name, context);
    return told.status;
  }

  return {
    sharesFiles: false,
    elsewhere: true,
    submit,
    status,
    look: async (context) => {
      const jobs = await api.list(batch, "jobs", { limit: "1" }, context);
      return `answers and lets us list jobs${jobs.length === 0 ? ", of which there are none" : ""}`;
    },
    async logs(name, offset, context) {
      const [pod] = await podsOf(name, context);
      const text = pod === undefined ? "" : await api.podLog(pod.metadata.name, context);
      const bytes = Buffer.from(text).subarray(offset);
      return { bytes, next: offset + bytes.length };
    },
    async cancel(name, _graceSeconds, context) {
      const { state } = await status(name, context);
      if (state !== "pending" && state !== "running") return;
      // Not deleted, so that what became of it can still be asked: its deadline passes, and it goes with all that has ended.
      const annotations = { [cancelledAnnotation]: "true" };
      await api.patch(batch, "jobs", name, { metadata: { annotations }, spec: { activeDeadlineSeconds: 1 } }, context);
    },
  };
}
