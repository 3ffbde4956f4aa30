import type { Plan } from "@espalier/contract";
import {
  type Digest,
  type Fault,
  type NewRun,
  type PlannedStep,
  pipelineDigest,
  planRun,
  type RunOptions,
  toEspalierError,
} from "@espalier/core";
import { checkPipelineFile, findPipeline, type ParsedPipeline, platformName } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { newRun } from "./create-run.ts";
import { foreseeRun } from "./foresee-run.ts";
import { convertParameters } from "./parameters.ts";

export interface PlanRequest {
  pipeline: string;
  params: NewRun["params"];
  stack: string;
  options: RunOptions;
  logicalDate?: string;
}

/** What a run would do, or every fault that stops it; nothing runs, and nothing is put on record. */
export async function makePlan(plane: ControlPlane, request: PlanRequest): Promise<Plan> {
  const { project, builtins } = plane;
  const parsed = await findPipeline(project.directory, request.pipeline);
  const faults = await checkPipelineFile(project, parsed, { builtins: Object.values(builtins), stack: request.stack });
  const { pipeline } = parsed;
  if (faults.length > 0 || pipeline === undefined) return plan(parsed, request, nothing, faults);
  try {
    const run = await newRun(plane, pipeline, request, { kind: "manual", by: "plan" });
    const { steps, problems } = await planRun(run, {
      builtins,
      platform: platformName(),
      lookup: (key) => lookUp(plane, key),
    });
    const located = problems.map((problem) => ({ ...problem, at: parsed.locate(problem.pointer) }));
    const placed = await withTools(plane, run, steps);
    return plan(parsed, request, await foreseeRun(plane, pipeline, placed), located);
  } catch (thrown) {
    const error = toEspalierError(thrown);
    if (error.code === "INTERNAL") throw thrown;
    return plan(parsed, request, nothing, [error.toJSON()]);
  }
}

/** A hit needs its blobs. */
async function lookUp({ record, artifacts }: ControlPlane, key: Digest) {
  const found = await record.engine.findCached(key);
  if (found === undefined) return undefined;
  const there = await Promise.all(Object.values(found.outputs).map((ref) => artifacts.exists(ref)));
  return there.every(Boolean) ? found : undefined;
}

async function withTools({ stack, builtins }: ControlPlane, run: NewRun, steps: readonly PlannedStep[]) {
  return Promise.all(
    steps.map(async ({ cacheKey: _, needs, ...planned }) => {
      const step = run.pipeline.steps[planned.step] ?? {};
      const inputs = Object.values(step.inputs ?? {}).flatMap((reference) => run.resolved[reference] ?? []);
      const inControlPlane = step.uses !== undefined && builtins[step.uses]?.kind === "record";
      if (inControlPlane) return { ...planned, needs: [...needs], tool: "embedded/record", inputs };
      const target = await stack.runnerFor(step, run);
      return { ...planned, needs: [...needs], tool: target.tool, target, inputs };
    }),
  );
}

type Foreseen = Pick<Plan, "steps" | "forecast" | "gaps" | "permissions">;
const nothing: Foreseen = {
  steps: [],
  forecast: { seconds: 0, unknownSteps: [], dollars: 0, unpricedSteps: [] },
  gaps: [],
  permissions: [],
};

type Problem = Pick<Fault, "code" | "message"> & { at?: string; hint?: string };

function plan(parsed: ParsedPipeline, request: PlanRequest, foreseen: Foreseen, problems: readonly Problem[]): Plan {
  const { pipeline, file } = parsed;
  return {
    pipeline: pipeline?.name ?? file,
    // Of a file that can not be read there is nothing to digest but that.
    digest: pipelineDigest(pipeline ?? { ir: 1, name: "unreadable", steps: {} }),
    stack: request.stack,
    params: { ...pipeline?.params, ...(pipeline === undefined ? {} : convertParameters(pipeline, request.params)) },
    ...foreseen,
    problems: problems.map(({ code, message, at, hint }) => ({
      code,
      message,
      ...(at === undefined ? {} : { at }),
      ...(hint === undefined ? {} : { hint }),
    })),
  };
}
