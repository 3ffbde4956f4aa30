import type { Plan } from "@espalier/contract";
import { type ArtifactRef, foresee, median, type PipelineIr, type StepRunner, type ToolManifest } from "@espalier/core";
import { toolManifests } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";

type Planned = Plan["steps"][number] & {
  target?: { runner: StepRunner; tool: string };
  inputs: readonly ArtifactRef[];
};

/** What earlier runs, manifests and the stack tell of a run before it begins. */
export async function foreseeRun(
  plane: ControlPlane,
  pipeline: PipelineIr,
  steps: readonly Planned[],
): Promise<Pick<Plan, "steps" | "forecast" | "gaps" | "permissions">> {
  const durations = new Map(
    (await plane.record.stepDurations.of(pipeline.name)).map(({ step, seconds }) => [step, seconds]),
  );
  const foreseen = steps.map(({ target, inputs, ...step }) => {
    const seconds = durations.get(step.step) ?? [];
    const expectedSeconds = median(seconds);
    const isElsewhere = target !== undefined && !target.runner.sharesFiles;
    return {
      ...step,
      ...(expectedSeconds === undefined ? {} : { expectedSeconds, expectedFrom: seconds.length }),
      ...(isElsewhere ? { route: routeOf(plane), inputBytes: inputs.reduce((sum, { size }) => sum + size, 0) } : {}),
    };
  });
  const used = manifestsOf(plane, steps);
  const { seconds, dollars, unknownSteps, unpricedSteps } = foresee(
    foreseen.map((step) => ({ ...step, dollarsAnHour: hourlyPrice(used.get(step.tool)) })),
  );
  return {
    steps: foreseen,
    forecast: { seconds, dollars, unknownSteps, unpricedSteps },
    gaps: gapsOf(plane, steps, used),
    permissions: [...new Set(used.values())]
      .filter(({ permissions }) => permissions !== undefined)
      .map(({ tool, component, permissions = [] }) => ({ tool, component, needs: permissions })),
  };
}

/** How a step elsewhere gets its inputs and brings its outputs back. */
function routeOf({ stack }: ControlPlane): string {
  return stack.artifactStore.presign === undefined ? "signed URLs of this control plane" : "signed URLs of the store";
}

/** By the tool's name in the plan. */
function manifestsOf({ project, stack }: ControlPlane, steps: readonly Planned[]): Map<string, ToolManifest> {
  const found = new Map<string, ToolManifest>();
  const known = (component: string, tool: string): ToolManifest | undefined =>
    toolManifests.find(({ manifest }) => manifest.component === component && manifest.tool === tool)?.manifest;
  for (const { tool, target } of steps) {
    const manifest = target === undefined ? undefined : known("compute", tool.split("/").at(-1) ?? tool);
    if (manifest !== undefined) found.set(tool, manifest);
  }
  const artifacts = known("artifacts", project.stacks[stack.name]?.artifacts?.uses ?? "filesystem");
  if (artifacts !== undefined) found.set("artifacts", artifacts);
  return found;
}

function hourlyPrice(manifest: ToolManifest | undefined): number | null {
  // Steps of the record run inside the control plane.
  if (manifest === undefined || manifest.provider === "embedded") return 0;
  return manifest.ownership?.dollarsATrainingHour ?? null;
}

/** What a chosen tool can not do, and what is done instead. */
function gapsOf(
  { stack, project }: ControlPlane,
  steps: readonly Planned[],
  used: ReadonlyMap<string, ToolManifest>,
): Plan["gaps"] {
  const gaps: Plan["gaps"] = [];
  const remote = steps.filter(({ target }) => target !== undefined && !target.runner.sharesFiles);
  if (remote.length > 0 && stack.artifactStore.presign === undefined) {
    gaps.push({
      tool: used.get("artifacts")?.tool ?? "artifacts",
      what: "signs no URLs of its own",
      fallback: "this control plane signs and serves the files of steps elsewhere",
    });
  }
  if (remote.length > 0 && project.config.control_plane?.url === undefined) {
    gaps.push({
      tool: "control plane",
      what: "has no `control_plane.url`, so that only steps on this machine find their way back",
    });
  }
  const runners = new Map(
    steps.flatMap(({ tool, target }) => (target === undefined ? [] : [[tool, target.runner] as const])),
  );
  for (const [tool, runner] of runners) {
    if (runner.wait === undefined) {
      gaps.push({ tool, what: "does not tell when a step ends", fallback: "it is asked once a second" });
    }
  }
  for (const [name, { tool, losses = [], provider }] of used) {
    if (provider === "embedded") continue;
    for (const what of losses) gaps.push({ tool: name === "artifacts" ? tool : name, what });
  }
  return gaps;
}
