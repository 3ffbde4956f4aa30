import type { StepStatus } from "@espalier/core";
import { z } from "zod";
import type { KubernetesObject } from "./kubernetes-client.ts";
import { cancelledAnnotation } from "./kubernetes-job.ts";

const conditionSchema = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().nullish(),
  message: z.string().nullish(),
  lastTransitionTime: z.string().nullish(),
});
const jobSchema = z.looseObject({
  status: z.looseObject({ conditions: z.array(conditionSchema).nullish() }).nullish(),
});
const containerSchema = z.looseObject({
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().nullish(), message: z.string().nullish() }).nullish(),
      running: z.looseObject({}).nullish(),
      terminated: z
        .looseObject({
          exitCode: z.int(),
          reason: z.string().nullish(),
          message: z.string().nullish(),
          finishedAt: z.string().nullish(),
        })
        .nullish(),
    })
    .nullish(),
});
const podSchema = z.looseObject({
  status: z
    .looseObject({
      phase: z.string().nullish(),
      reason: z.string().nullish(),
      message: z.string().nullish(),
      conditions: z.array(conditionSchema).nullish(),
      containerStatuses: z.array(containerSchema).nullish(),
    })
    .nullish(),
});

/** What kubelets try again for ever, though mostly in vain. */
const retriedReasons = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "CreateContainerError",
  "CreateContainerConfigError",
]);
/** What no waiting mends. */
const finalReasons = new Set(["InvalidImageName", "ErrImageNeverPull", "RunContainerError"]);
/** How long after its grace period a pod that was told to go is still believed in: its node no longer answers. */
const goneSeconds = 60;

export interface Observed {
  job: KubernetesObject;
  pods: readonly KubernetesObject[];
  /** Messages of warning events about the job, the newest last. */
  warnings: readonly string[];
  nowMilliseconds: number;
  pullSeconds: number;
}

/**
 * What Kubernetes knows of an attempt. `gaveUp`: it would wait for ever, so the job is to be removed, lest it begin after all. A job is over with its
 * condition, which comes when all its pods are; the exit code is that of the container that ended first with another than 0.
 */
export function statusOfJob(observed: Observed): { status: StepStatus; gaveUp?: true } {
  const { job, pods } = observed;
  const conditions = jobSchema.parse(job).status?.conditions ?? [];
  const over = conditions.find(({ type, status }) => status === "True" && (type === "Complete" || type === "Failed"));
  const parsed = pods.map((pod) => ({ pod, ...podSchema.parse(pod) }));
  if (over === undefined) return stillOpen(observed, parsed);
  if (over.type === "Complete") return { status: { state: "exited", exitCode: 0 } };
  if (job.metadata.annotations?.[cancelledAnnotation] !== undefined) return { status: { state: "cancelled" } };
  if (over.reason === "DeadlineExceeded") {
    return { status: { state: "lost", cause: "timeout", message: `Kubernetes: ${over.message ?? over.reason}` } };
  }
  for (const { status } of parsed) {
    const disrupted = status?.conditions?.find(({ type, status: is }) => type === "DisruptionTarget" && is === "True");
    const reason = status?.reason ?? disrupted?.reason;
    if (reason) return { status: { state: "lost", message: words(reason, status?.message ?? disrupted?.message) } };
  }
  const ended = parsed.flatMap(({ status }) => status?.containerStatuses?.[0]?.state?.terminated ?? []);
  const [first] = ended
    .filter(({ exitCode }) => exitCode !== 0)
    .sort((one, other) => timeOf(one.finishedAt) - timeOf(other.finishedAt));
  if (first !== undefined) {
    const said = first.reason !== null && first.reason !== undefined && first.reason !== "Error";
    const reason = said ? { reason: words(first.reason, first.message) } : {};
    return { status: { state: "exited", exitCode: first.exitCode, ...reason } };
  }
  return { status: { state: "lost", message: words(over.reason, `${over.message ?? ""}; its pod is gone`) } };
}

function stillOpen(
  { job, warnings, nowMilliseconds, pullSeconds }: Observed,
  pods: readonly (z.infer<typeof podSchema> & { pod: KubernetesObject })[],
): { status: StepStatus; gaveUp?: true } {
  if (job.metadata.annotations?.[cancelledAnnotation] !== undefined) return { status: { state: "running" } };
  if (pods.length === 0) {
    return { status: { state: "pending", reason: warnings.at(-1) ?? "Kubernetes has not made its pod yet" } };
  }
  for (const { pod, status } of pods) {
    const { deletionTimestamp } = pod.metadata;
    // It holds the end of its grace period already. The job's own condition comes only once the pod is gone, which a dead node never says.
    if (deletionTimestamp && nowMilliseconds - Date.parse(deletionTimestamp) > goneSeconds * 1_000) {
      const disrupted = status?.conditions?.find(
        ({ type, status: is }) => type === "DisruptionTarget" && is === "True",
      );
      const reason = disrupted?.reason ?? status?.reason ?? "NodeLost";
      const message = disrupted?.message ?? status?.message ?? `pod ${pod.metadata.name} was told to go and did not`;
      return { status: { state: "lost", message: words(reason, message) }, gaveUp: true };
    }
    const waiting = status?.containerStatuses?.[0]?.state?.waiting;
    const reason = waiting?.reason ?? "";
    const scheduled = status?.conditions?.find(({ type, status: is }) => type === "PodScheduled" && is === "True");
    const since = timeOf(scheduled?.lastTransitionTime ?? pod.metadata.creationTimestamp);
    const tried = nowMilliseconds - since > pullSeconds * 1_000;
    if (finalReasons.has(reason) || (retriedReasons.has(reason) && tried)) {
      return { status: { state: "lost", message: words(reason, waiting?.message) }, gaveUp: true };
    }
    if (reason !== "" && reason !== "ContainerCreating" && reason !== "PodInitializing") {
      return { status: { state: "pending", reason: words(reason, waiting?.message) } };
    }
    const placed = status?.conditions?.find(({ type }) => type === "PodScheduled");
    if (placed?.status === "False") {
      return { status: { state: "pending", reason: words(placed.reason, placed.message) } };
    }
    if (status?.containerStatuses?.[0]?.state?.running == null && status?.phase === "Pending") {
      return { status: { state: "pending", reason: "Kubernetes starts its container" } };
    }
  }
  return { status: { state: "running" } };
}

/** Milliseconds since the epoch; what has no time comes last. */
const timeOf = (instant: string | null | undefined): number =>
  instant ? Date.parse(instant) : Number.POSITIVE_INFINITY;

const words = (reason: string | null | undefined, message: string | null | undefined): string =>
  `Kubernetes: ${[reason, message].filter((part) => part).join(": ")}`.slice(0, 1_000);
