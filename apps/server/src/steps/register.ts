import {
  type ArtifactRef,
  type Artifacts,
  EspalierError,
  isEspalierError,
  type ModelSignature,
  modelSignatureSchema,
  type RecordStep,
  recordBuiltins,
} from "@espalier/core";
import { z } from "zod";
import type { ControlPlane } from "../control-plane.ts";
import { requireVerdict } from "./gate-verdict.ts";
import { requireInput, valueOutput } from "./step-values.ts";

const largestSignatureBytes = 1024 * 1024;

/** Idempotent on (name, digest, verdict). */
export function registerStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const settings = recordBuiltins.register.with.parse(context.with);
    const at = `steps.${context.step}`;
    const model = requireInput(context, "model");
    const verdict = await requireVerdict(record, model.ref.digest, context.stepIr, `${at}.inputs.model`);
    const signature = await signatureOf(artifacts, model.ref, at);
    const version = await record.models.register({
      name: settings.name,
      artifact: model.ref,
      ...(signature === undefined ? {} : { signature }),
      runId: context.run.id,
      attemptId: context.attemptId,
      registeredBy: context.run.trigger.by,
      ...(verdict === undefined ? {} : { verdictId: verdict.id }),
      ...(settings.description === undefined ? {} : { description: settings.description }),
      ...(settings.tags === undefined ? {} : { tags: settings.tags }),
    });
    if (settings.alias !== undefined) {
      await record.aliases.set({
        name: settings.name,
        alias: settings.alias,
        toVersion: version.version,
        changedBy: context.run.trigger.by,
        reason: `run ${context.run.id}`,
      });
    }
    await context.emit({
      type: "note",
      text: `${settings.name} version ${version.version}${version.created ? "" : " (as before)"}`,
    });
    return valueOutput(artifacts, "version", {
      model: settings.name,
      version: version.version,
      digest: model.ref.digest,
      gate: verdict === undefined ? "none" : "passed",
      ...(verdict === undefined ? {} : { verdict: verdict.id }),
    });
  };
}

/** Absent for a folder as MLflow's clients log it, which describes itself in its MLmodel. */
async function signatureOf(artifacts: Artifacts, ref: ArtifactRef, at: string): Promise<ModelSignature | undefined> {
  const read = (path: string): Promise<Uint8Array | undefined> =>
    artifacts.readBytes(ref, path, largestSignatureBytes).catch((error: unknown) => {
      if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
      throw error;
    });
  const bytes = await read("signature.json");
  if (bytes !== undefined) return parseSignature(bytes, at);
  if ((await read("MLmodel")) !== undefined) return undefined;
  throw new EspalierError("INVALID_DATA", "The model has neither a signature.json nor an MLmodel", {
    at: `${at}.inputs.model`,
    hint: "A model is ONNX, or an MLmodel folder as MLflow logs it: docs/serving.md says what its signature.json holds.",
  });
}

function parseSignature(bytes: Uint8Array, at: string): ModelSignature {
  try {
    return modelSignatureSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll(/\n\s*/g, " ") : String(cause);
    throw new EspalierError("INVALID_DATA", `The model's signature.json does not describe a model: ${why}`, {
      cause,
      at: `${at}.inputs.model`,
      hint: "A model is ONNX, or an MLmodel folder as MLflow logs it: docs/serving.md says what its signature.json holds.",
    });
  }
}
