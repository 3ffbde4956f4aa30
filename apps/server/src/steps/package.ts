import {
  type ArtifactRef,
  digestOfJson,
  EspalierError,
  type Json,
  packageModel,
  type RecordStep,
  recordBuiltins,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { requireContent } from "../models/version-content.ts";
import { readValue, requireInput, valueOutput } from "./step-values.ts";

/** The model as an OCI artifact in the stack's registry. */
export function packageStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { artifacts, stack, record } = plane();
    const settings = recordBuiltins.package.with.parse(context.with);
    const subject = await subjectOf(plane(), context.step, requireInput(context, "model").ref);
    const repository = settings.repository ?? subject.name ?? context.run.pipeline.name;
    const tag = settings.tag ?? subject.version ?? subject.model.digest.slice(7, 19);
    const verdict = await record.verdicts.allowing(subject.model.digest);
    const packed = await packageModel(
      stack.packages,
      artifacts,
      { repository, tag },
      {
        name: subject.name ?? repository,
        version: subject.version ?? tag,
        model: subject.model,
        ...(verdict === undefined ? {} : { verdict: digestOfJson(verdict.report) }),
      },
    );
    return valueOutput(artifacts, "image", { repository, tag, digest: packed.digest, model: subject.model.digest });
  };
}

interface Subject {
  model: ArtifactRef;
  name?: string;
  version?: string;
}

/** A model, or the version that a register step made of one. */
async function subjectOf(plane: ControlPlane, step: string, ref: ArtifactRef): Promise<Subject> {
  const { record, artifacts } = plane;
  if (ref.type === "model") return { model: ref };
  const value: Json = await readValue(artifacts, ref);
  if (typeof value === "object" && value !== null && "model" in value && "version" in value) {
    const row = await record.models.version(String(value["model"]), Number(value["version"]));
    if (row !== undefined) {
      return { model: (await requireContent(plane, row)).artifact, name: row.name, version: `v${row.version}` };
    }
  }
  throw new EspalierError("INVALID_PIPELINE", "This input is neither a model nor the version of a register step", {
    at: `steps.${step}.inputs.model`,
    hint: "Take `register.version`, or the `model` output of a gate.",
  });
}
