import { type Json, type RunRow, tryParseReference } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { LineageEdge } from "../db/queries/lineage.ts";

/** What a run read and made, as edges of the one graph. Written at its end, also for steps that were cached. Idempotent. */
export async function recordLineage({ record }: ControlPlane, run: RunRow): Promise<void> {
  const runNode = `run:${run.id}`;
  const edges: LineageEdge[] = [];
  const add = (from: string, to: string, relation: string): void =>
    void edges.push({ from, to, relation, runId: run.id });

  for (const step of Object.values(run.pipeline.steps)) {
    for (const text of Object.values(step.inputs ?? {})) {
      const ref = run.resolved[text];
      const reference = tryParseReference(text);
      if (reference === undefined || ref === undefined || ref === null) continue;
      if (reference.kind === "file" && step.uses !== "dataset") add(`source:${reference.path}`, runNode, "read");
      if (reference.kind === "dataset") {
        const version = reference.version ?? (await datasetVersion(record, reference.name, ref.digest));
        add(`dataset:${reference.name}@${version}`, runNode, "read");
      }
      if (reference.kind === "model") {
        const at = "version" in reference ? Number(reference.version) : (`@${reference.alias}` as const);
        const version = await record.models.version(reference.name, at);
        if (version !== undefined) add(`model:${reference.name}@${version.version}`, runNode, "read");
      }
    }
  }

  for (const row of await record.engine.steps(run.id)) {
    const uses = run.pipeline.steps[row.step]?.uses;
    const values = row.values ?? {};
    if (uses === "dataset") {
      const { dataset, version, source } = members(values["version"]);
      if (dataset === undefined) continue;
      const node = `dataset:${dataset}@${version}`;
      add(`source:${source}`, node, "logged_as");
      add(node, runNode, "read");
    } else if (uses === "replace-partitions") {
      const { dataset, version } = members(values["version"]);
      if (dataset !== undefined) add(runNode, `dataset:${dataset}@${version}`, "wrote");
    } else if (uses === "register") {
      const { model, version, verdict } = members(values["version"]);
      if (model === undefined) continue;
      add(runNode, `model:${model}@${version}`, "registered_as");
      if (verdict !== undefined) add(`verdict:${verdict}`, `model:${model}@${version}`, "let_through");
    } else if (uses === "deploy") {
      const { endpoint, model, version, rollout } = members(values["deployment"]);
      if (endpoint === undefined) continue;
      add(`model:${model}@${version}`, `endpoint:${endpoint}`, "served_by");
      if (rollout !== undefined) add(`model:${model}@${version}`, `rollout:${rollout}`, "rolled_out_by");
    }
  }
  if (run.trigger.kind === "monitor" && run.trigger.id !== undefined)
    add(`report:${run.trigger.id}`, runNode, "triggered");
  if (edges.length > 0) await record.lineage.addEdges(edges);
}

async function datasetVersion(
  record: ControlPlane["record"],
  name: string,
  digest: string,
): Promise<number | "unknown"> {
  let cursor: string | undefined;
  do {
    const page = await record.datasets.versions(name, { limit: 100, cursor });
    const found = page.items.find((version) => version.digest === digest);
    if (found !== undefined) return found.version;
    cursor = page.next;
  } while (cursor !== undefined);
  return "unknown";
}

/** Text and numbers of a step's small document. */
function members(value: Json | undefined): Record<string, string | undefined> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) =>
      typeof member === "string" || typeof member === "number" ? [[name, String(member)]] : [],
    ),
  );
}
