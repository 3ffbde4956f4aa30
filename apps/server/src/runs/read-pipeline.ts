import { faultsError, type PipelineIr } from "@espalier/core";
import { checkPipelineFile, findPipeline, wholePipeline } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";

/** The pipeline that a person means, without any fault in its project and stack: INVALID_PIPELINE lists all there are. */
export async function readPipeline(
  plane: ControlPlane,
  wanted: string,
  stack: string,
): Promise<{ pipeline: PipelineIr; file: string }> {
  const parsed = await findPipeline(plane.project.directory, wanted);
  const faults = await checkPipelineFile(plane.project, parsed, { builtins: Object.values(plane.builtins), stack });
  if (faults.length > 0) throw faultsError(faults, parsed.file);
  return { pipeline: wholePipeline(parsed), file: parsed.file };
}
