import type { RecordStep } from "@espalier/core";
import { recordBuiltins } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { requireInput, valueOutput } from "./step-values.ts";

/** Idempotent on (name, digest). */
export function datasetStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const settings = recordBuiltins.dataset.with.parse(context.with);
    const file = requireInput(context, "file");
    const version = await record.datasets.log({
      name: settings.name,
      digest: file.ref.digest,
      artifact: file.ref,
      source: file.reference,
      runId: context.run.id,
      attemptId: context.attemptId,
      createdBy: context.run.trigger.by,
      ...(settings.description === undefined ? {} : { description: settings.description }),
      ...(settings.tags === undefined ? {} : { tags: settings.tags }),
    });
    const value = { dataset: settings.name, version: version.version, digest: version.digest, source: file.reference };
    const result = await valueOutput(artifacts, "version", value);
    if (result.state === "waiting") return result;
    return { ...result, outputs: { ...result.outputs, dataset: file.ref } };
  };
}
