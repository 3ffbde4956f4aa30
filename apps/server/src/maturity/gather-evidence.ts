import type { Evidence, EvidenceKind, Proof } from "@espalier/core";
import { evidenceKinds } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { documentOf, gatherFacts, type RunFacts, stepsUsing, triggerOf } from "../report/facts.ts";
import { text } from "../report/words.ts";

const most = { limit: 100 };

/** What the record proves: of the newest finished runs, and of every dataset, model, endpoint and monitor. */
export async function gatherEvidence(plane: ControlPlane): Promise<Evidence> {
  const { record } = plane;
  const found = Object.fromEntries(evidenceKinds.map((kind) => [kind, [] as Proof[]])) as Record<EvidenceKind, Proof[]>;
  const facts = await gatherFacts(plane);
  for (const { id, candidateDigest, outcome, createdAt } of facts.verdicts) {
    found.verdicts.push({ id: `verdict:${id}`, at: createdAt, what: `${outcome} for ${candidateDigest.slice(0, 19)}` });
  }
  // Of endpoints that were stopped since, too: what happened stays proven.
  const serving = (await record.endpoints.list(most)).items.map(({ name }) => name);
  const endpoints = new Set([...serving, ...facts.runs.flatMap(endpointsOf)]);
  const rollouts = (await Promise.all([...endpoints].map((name) => record.rollouts.list(name, most)))).flatMap(
    ({ items }) => items,
  );
  for (const one of facts.runs) proveRun(found, one, rollouts);
  for (const { id, endpoint, state, startedAt, strategy } of rollouts) {
    if (strategy === "all" || (state !== "succeeded" && state !== "rolled_back")) continue;
    found.judgedRollouts.push({
      id: `rollout:${id}`,
      at: startedAt,
      what: `${endpoint}: ${strategy}, ${state.replace("_", " ")}`,
    });
  }
  await proveResources(found, record, endpoints);
  for (const kind of evidenceKinds) found[kind].sort((one, other) => other.at - one.at);
  return found;
}

function proveRun(
  found: Record<EvidenceKind, Proof[]>,
  of: RunFacts,
  rollouts: readonly { id: string; state: string }[],
): void {
  const { run, metrics } = of;
  const proof = (what: string): Proof => ({ id: `run:${run.id}`, at: run.finishedAt ?? run.createdAt, what });
  if (run.state !== "succeeded") return;
  found.pipelineRuns.push(proof(`${run.pipeline.name}, ${Object.keys(run.pipeline.steps).length} steps`));
  if (metrics.length > 0) found.trackedRuns.push(proof(`${run.pipeline.name}, ${metrics.length} metrics`));
  if (stepsUsing(of, "validate").some(({ state }) => state === "succeeded" || state === "cached")) {
    found.validations.push(proof(`${run.pipeline.name} with validated data`));
  }
  const { kind } = run.trigger;
  // A simulated clock is no evidence that anybody left it running.
  const isSimulated = run.trigger.by === "simulation";
  if (kind === "schedule" && !isSimulated) found.scheduledRuns.push(proof(`${run.pipeline.name} by ${triggerOf(run)}`));
  if (kind === "monitor") {
    found.triggeredRuns.push(proof(`${run.pipeline.name} by ${triggerOf(run)}`));
    const rollout = rollouts.find(({ id }) => id === text(documentOf(of, "deploy", "deployment")?.rollout));
    if (rollout?.state === "succeeded")
      found.closedLoops.push(proof(`${run.pipeline.name} by ${triggerOf(run)}, deployed`));
  }
  if (kind === "manual" && run.trigger.id?.startsWith("ci:")) {
    found.continuousIntegrationRuns.push(proof(`${run.pipeline.name} in ${run.trigger.id.slice(3)}`));
  }
}

/** Those that a run's steps deploy to. */
function endpointsOf({ run }: RunFacts): string[] {
  return Object.values(run.pipeline.steps).flatMap(({ uses, with: settings }) => {
    const name = uses === "deploy" ? settings?.["endpoint"] : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

async function proveResources(
  found: Record<EvidenceKind, Proof[]>,
  record: ControlPlane["record"],
  endpoints: Iterable<string>,
): Promise<void> {
  for (const { name } of (await record.datasets.list(most)).items) {
    for (const { version, createdAt } of (await record.datasets.versions(name, most)).items) {
      found.datasetVersions.push({
        id: `dataset:${name}@${version}`,
        at: createdAt,
        what: `${name}, version ${version}`,
      });
    }
  }
  for (const { name } of (await record.models.list(most)).items) {
    for (const { version, createdAt, runId } of (await record.models.versions(name, most)).items) {
      if (runId === undefined) continue;
      found.registrations.push({ id: `model:${name}@${version}`, at: createdAt, what: `${name}, version ${version}` });
    }
  }
  for (const name of endpoints) {
    for (const { generation, createdAt, runId } of (await record.endpoints.history(name, most)).items) {
      if (runId === undefined) continue;
      found.runDeployments.push({
        id: `endpoint:${name}`,
        at: createdAt,
        what: `${name}, generation ${generation} by run ${runId}`,
      });
    }
  }
  for (const { name } of (await record.monitors.list(most)).items) {
    for (const { status, windowEnd, createdAt } of (await record.monitors.reports(name, most)).items) {
      if (status === "insufficient") continue;
      found.monitorReports.push({
        id: `monitor:${name}`,
        at: createdAt,
        what: `${name}: ${status}, window to ${new Date(windowEnd).toISOString()}`,
      });
    }
  }
}
