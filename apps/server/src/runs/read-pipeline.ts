import { EspalierError, faultsError, type PipelineIr } from "@espalier/core";
import { checkPipelineFile, findPipeline, wholePipeline } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { sameStore } from "./bring-artifacts.ts";

/** The pipeline that a person means, without any fault in its project and stack: INVALID_PIPELINE lists all there are. */
export async function readPipeline(
  plane: ControlPlane,
  wanted: string,
  stack: string,
): Promise<{ pipeline: PipelineIr; file: string }> {
  requireSameStore(plane, stack);
  const parsed = await findPipeline(plane.project.directory, wanted);
  const faults = await checkPipelineFile(plane.project, parsed, { builtins: Object.values(plane.builtins), stack });
  if (faults.length > 0) throw faultsError(faults, parsed.file);
  return { pipeline: wholePipeline(parsed), file: parsed.file };
}

/** Artifacts, secrets and endpoints are those of the control plane's stack; a run of another stack only takes its computes from it. */
export function requireSameStore({ project, stack }: ControlPlane, wanted: string): void {
  if (project.stacks[wanted] === undefined || sameStore(project, wanted, stack.name)) return;
  throw new EspalierError(
    "UNSUPPORTED",
    `The stack ${wanted} keeps its artifacts elsewhere than ${stack.name}, which this control plane has open`,
    {
      at: `stacks.${wanted}.artifacts`,
      hint: `End this control plane, then start it with \`espalier up --stack ${wanted}\`.`,
    },
  );
}
