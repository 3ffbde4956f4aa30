import type { Lineage } from "@espalier/contract";
import { maturityOf } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { gatherEvidence } from "../maturity/gather-evidence.ts";
import { checkHealth, repairStore } from "../operations/doctor.ts";
import { previewGc, refuseWhileRunning, sweep } from "../operations/garbage.ts";

type Names = NamesUnder<"gc"> | NamesUnder<"doctor"> | NamesUnder<"lineage"> | NamesUnder<"maturity">;

export function operationHandlers(plane: ControlPlane): HandlersOf<Names> {
  const { record } = plane;
  return {
    "gc.preview": () => previewGc(plane),
    "gc.sweep": () => sweep(plane),
    "doctor.check": ({ query }) => checkHealth(plane, query),
    "doctor.repair": async () => {
      await refuseWhileRunning(plane, "Repair");
      return repairStore(plane);
    },
    "maturity.get": async () => ({ models: maturityOf(await gatherEvidence(plane)) }),
    "lineage.get": async ({ query }) => {
      const id = await nodeOf(plane, query.id);
      const bounds = { depth: query.depth, limit: query.limit };
      const parts = [
        ...(query.direction === "down" ? [] : [await record.lineage.upstream(id, bounds)]),
        ...(query.direction === "up" ? [] : [await record.lineage.downstream(id, bounds)]),
      ];
      const nodes = [...new Set(parts.flatMap((part) => part.nodes))];
      return {
        nodes: nodes.map(describeNode),
        edges: parts.flatMap((part) => part.edges),
        truncated: parts.some((part) => part.truncated),
      };
    },
  };
}

/** Short forms that people write: `model:name@alias`, `dataset:name`, `run:latest`. */
async function nodeOf({ record }: ControlPlane, id: string): Promise<string> {
  const [kind, rest = ""] = split(id);
  if (kind === "run") return `run:${await record.runs.resolve(rest)}`;
  const [name = "", version] = rest.split("@");
  if (kind === "dataset" && version === undefined) {
    return `dataset:${name}@${(await record.datasets.get(name, "latest"))?.version ?? "latest"}`;
  }
  if (kind === "model" && !/^\d+$/.test(version ?? "")) {
    const found = await record.models.version(name, version === undefined ? "latest" : `@${version}`);
    return `model:${name}@${found?.version ?? version ?? "latest"}`;
  }
  return id;
}

function describeNode(id: string): Lineage["nodes"][number] {
  const [kind, label] = split(id);
  return { id, kind, label: label ?? id };
}

function split(id: string): [string, string?] {
  const colon = id.indexOf(":");
  return colon === -1 ? [id] : [id.slice(0, colon), id.slice(colon + 1)];
}
