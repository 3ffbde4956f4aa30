import {
  type ArtifactRef,
  digestOfJson,
  EspalierError,
  type Json,
  packageModel,
  type RecordStep,
  type RecordStepContext,
  recordBuiltins,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { type HeldVersion, requireContent } from "../models/version-content.ts";
import { packageImage } from "../packaging/package-image.ts";
import { readValue, requireInput, valueOutput } from "./step-values.ts";

/** The model as an OCI artifact in the stack's registry; with `image`, as an image of the model server. */
export function packageStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { artifacts, stack, record } = plane();
    const settings = recordBuiltins.package.with.parse(context.with);
    const subject = await subjectOf(plane(), context.step, requireInput(context, "model").ref);
    if (settings.image === true) return imageStep(plane(), context, subject, settings);
    const repository = settings.repository ?? subject.version?.name ?? context.run.pipeline.name;
    const version = subject.version === undefined ? undefined : `v${subject.version.version}`;
    const tag = settings.tag ?? version ?? subject.model.digest.slice(7, 19);
    const verdict = await record.verdicts.allowing(subject.model.digest);
    const packed = await packageModel(
      stack.packages,
      artifacts,
      { repository, tag },
      {
        name: subject.version?.name ?? repository,
        version: version ?? tag,
        model: subject.model,
        ...(verdict === undefined ? {} : { verdict: digestOfJson(verdict.report) }),
      },
    );
    return valueOutput(artifacts, "image", { repository, tag, digest: packed.digest, model: subject.model.digest });
  };
}

async function imageStep(
  plane: ControlPlane,
  context: RecordStepContext,
  { version }: Subject,
  settings: ReturnType<typeof recordBuiltins.package.with.parse>,
): ReturnType<RecordStep> {
  const at = `steps.${context.step}`;
  if (version === undefined) {
    throw new EspalierError("INVALID_PIPELINE", "An image holds a registered version, and this input is a model", {
      at: `${at}.inputs.model`,
      hint: "Take `register.version`.",
    });
  }
  const { sign_secret: secret, base, platforms, python, repository, tag } = settings;
  const key = secret === undefined ? undefined : await plane.stack.secrets.get(secret);
  if (secret !== undefined && key === undefined) {
    throw new EspalierError("UNAUTHENTICATED", `There is no secret ${secret}`, {
      at: `${at}.with.sign_secret`,
      hint: `espalier secret set ${secret}`,
    });
  }
  const request = { version, base, platforms, python, repository, tag };
  const packed = await packageImage(
    plane,
    { ...request, ...(key === undefined ? {} : { sign: { key: key.reveal() } }) },
    { phase: () => undefined, push: () => undefined },
  );
  await context.emit({ type: "note", text: packed.image });
  return valueOutput(plane.artifacts, "image", {
    image: packed.image,
    digest: packed.digest,
    platforms: packed.platforms,
    model: packed.model.digest,
  });
}

interface Subject {
  model: ArtifactRef;
  version?: HeldVersion;
}

/** A model, or the version that a register step made of one. */
async function subjectOf(plane: ControlPlane, step: string, ref: ArtifactRef): Promise<Subject> {
  const { record, artifacts } = plane;
  if (ref.type === "model") return { model: ref };
  const value: Json = await readValue(artifacts, ref);
  if (typeof value === "object" && value !== null && "model" in value && "version" in value) {
    const row = await record.models.version(String(value["model"]), Number(value["version"]));
    if (row !== undefined) {
      const version = await requireContent(plane, row);
      return { model: version.artifact, version };
    }
  }
  throw new EspalierError("INVALID_PIPELINE", "This input is neither a model nor the version of a register step", {
    at: `steps.${step}.inputs.model`,
    hint: "Take `register.version`, or the `model` output of a gate.",
  });
}
