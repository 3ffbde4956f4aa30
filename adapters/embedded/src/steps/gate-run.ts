import { cp, readFile } from "node:fs/promises";
import {
  type DataStepContext,
  EspalierError,
  type GatePolicy,
  type GateVerdict,
  gatePolicySchema,
  type Json,
  judgeCandidate,
  judgeMetrics,
  resampledMetrics,
} from "@espalier/core";
import { identifier } from "@espalier/quality";
import { openDuckDb } from "../duckdb-client.ts";
import { openModel } from "../open-model.ts";
import { artifactDigest } from "./artifact-digest.ts";
import { checkSignature, type NamedModel, scoreTable } from "./score-table.ts";
import { attachTable, type Column, requireColumns } from "./tables.ts";
import { fitting, writeValue } from "./value-output.ts";
import { readYaml } from "./yaml-input.ts";

const sliceValues = 500;

/**
 * A refusal leaves the verdict and no model, and exits 0: outputs of a failed process are not taken in, and the verdict must reach the
 * record. The engine then fails the step as GATE_REFUSED.
 */
export async function runGate(context: DataStepContext): Promise<void> {
  const { candidate = "", champion, data, metrics, policy: policyPath = "" } = context.inputs;
  const policy = parsePolicy(await readYaml(policyPath, "policy"));
  const judged =
    data === undefined
      ? judgeMetrics(policy, await readMetrics(metrics))
      : await judgeRows(context, policy, candidate, champion, data);
  const verdict: GateVerdict = {
    ...judged,
    candidate: { digest: await artifactDigest(candidate), ...judged.candidate },
    policy: await artifactDigest(policyPath),
    ...(data === undefined ? {} : { data: await artifactDigest(data) }),
  };
  if (verdict.reference !== undefined && champion !== undefined) {
    verdict.reference = { digest: await artifactDigest(champion), ...verdict.reference };
  }
  await publish(context, verdict);
  if (!verdict.allowed) return;
  if (context.outputs.model !== undefined) await cp(candidate, context.outputs.model, { recursive: true });
}

async function publish(context: DataStepContext, verdict: GateVerdict): Promise<void> {
  await writeValue(context.outputs.verdict, fitting(thinner(verdict)));
  context.emit({ type: "tag", key: "gate.outcome", value: verdict.outcome });
  context.emit({ type: "tag", key: "gate.reason", value: verdict.reasons.join(" ").slice(0, 8000) });
  for (const [name, value] of Object.entries(verdict.candidate.metrics)) {
    context.emit({ type: "metric", key: `candidate.${name}`, value });
  }
  for (const [name, value] of Object.entries(verdict.reference?.metrics ?? {})) {
    context.emit({ type: "metric", key: `${verdict.comparedWith}.${name}`, value });
  }
  if (verdict.difference !== undefined) {
    context.emit({ type: "metric", key: "difference", value: verdict.difference.value });
    context.emit({ type: "metric", key: "difference.lower", value: verdict.difference.lower });
    context.emit({ type: "metric", key: "difference.upper", value: verdict.difference.upper });
  }
  process.stdout.write(`gate: ${verdict.outcome}\n${verdict.reasons.map((reason) => `  ${reason}\n`).join("")}`);
}

function parsePolicy(document: Json): GatePolicy {
  const parsed = gatePolicySchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${["policy", ...issue.path].join(".")}: ${issue.message}`);
  throw new EspalierError("INVALID_CONFIG", `The gate's policy is not valid: ${faults.join("; ")}`, {
    at: ["policy", ...(parsed.error.issues[0]?.path ?? [])].join("."),
    hint: "The keys of a policy are in docs/gates.md.",
  });
}

async function readMetrics(path: string | undefined): Promise<Record<string, number>> {
  if (path === undefined) {
    throw new EspalierError("INVALID_PIPELINE", "A gate needs `data` (rows to judge on) or `metrics` (a document)", {
      at: "inputs",
    });
  }
  const document: unknown = JSON.parse(await readFile(path, "utf8"));
  const entries = Object.entries(typeof document === "object" && document !== null ? document : {});
  const nested = entries.find(([name, value]) => name === "metrics" && typeof value === "object" && value !== null);
  const flat = nested === undefined ? entries : Object.entries(nested[1] as object);
  return Object.fromEntries(flat.filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

async function judgeRows(
  context: DataStepContext,
  policy: GatePolicy,
  candidate: string,
  champion: string | undefined,
  data: string,
): Promise<GateVerdict> {
  const target = policy.target;
  if (target === undefined) {
    throw new EspalierError("INVALID_CONFIG", "The policy does not say which column is the truth", {
      at: "policy.target",
      hint: "Add `target: <column>`.",
    });
  }
  const models: NamedModel[] = [{ name: "candidate", model: await openModel(candidate, "candidate") }];
  if (champion !== undefined) models.push({ name: "champion", model: await openModel(champion, "champion") });
  const database = await openDuckDb({ threads: 1, memoryLimit: "800MB" });
  try {
    const columns = await attachTable(database, "data", data);
    const sliceColumns = policy.slices?.columns ?? [];
    requireColumns([target, ...sliceColumns], columns, "data");
    for (const { name, model } of models) checkSignature(model.signature, columns, name);
    const rowCount = Number((await database.rows("SELECT count(*) AS n FROM data"))[0]?.n ?? 0);
    if (rowCount === 0) throw new EspalierError("INVALID_DATA", "There are no rows to judge on", { at: "inputs.data" });
    const blocks = policy.block === undefined ? [] : [{ column: policy.block, sql: expression(policy.block, columns) }];
    const slices = sliceColumns.map((column) => ({ column, sql: identifier(column), limit: sliceValues }));
    const table = await scoreTable(
      database,
      {
        models,
        target,
        task: resampledMetrics[policy.metric].task,
        coded: [...blocks, ...slices],
        onProgress: (done) => context.emit({ type: "progress", done, total: rowCount, unit: "rows" }),
      },
      rowCount,
    );
    return judgeCandidate({
      policy,
      candidate: { score: table.scores[0] ?? new Float64Array(), target: table.target },
      championScore: table.scores[1],
      block: policy.block === undefined ? undefined : table.coded[0],
      slices: table.coded.slice(blocks.length),
    });
  } finally {
    await database.close();
    for (const { model } of models) await model.close();
  }
}

/** A column's name, or an expression such as `date_trunc('day', date)`. */
export function expression(text: string, columns: readonly Column[]): string {
  return columns.some((column) => column.name === text) ? identifier(text) : `(${text})`;
}

function* thinner(verdict: GateVerdict): Iterable<GateVerdict> {
  for (const limit of [verdict.slices.length, 60, 20, 0]) {
    const slices = verdict.slices.slice(0, limit);
    yield { ...verdict, slices, slicesOmitted: verdict.slicesOmitted + verdict.slices.length - slices.length };
  }
}
