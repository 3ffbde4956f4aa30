import {
  EspalierError,
  type Json,
  type RecordStep,
  type RecordStepContext,
  recordBuiltins,
  strategyOf,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { deploy } from "../deployments/deploy.ts";
import { type HeldVersion, requireContent } from "../models/version-content.ts";
import { requireVerdict } from "./gate-verdict.ts";
import { readValue, requireInput, valueOutput } from "./step-values.ts";

/** Reconciles: what is served already is `unchanged`, and what should be served but is not is started again. */
export function deployStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const settings = recordBuiltins.deploy.with.parse(context.with);
    const version = await versionOfInput(plane(), context);
    await requireVerdict(record, version.digest, context.stepIr, `steps.${context.step}.inputs.model`);
    const { endpoint, rollout, unchanged } = await deploy(plane(), {
      endpoint: settings.endpoint,
      version,
      strategy: strategyOf(settings.strategy ?? "all"),
      weight: settings.weight,
      rollout: settings.rollout,
      captureRate: settings.capture_rate,
      alias: settings.alias ?? "champion",
      by: context.run.trigger.by,
      runId: context.run.id,
    });
    const deployment: Json = {
      endpoint: endpoint.name,
      generation: endpoint.generation,
      model: version.name,
      version: version.version,
      url: endpoint.status?.url ?? null,
      rollout: rollout?.id ?? null,
    };
    return valueOutput(artifacts, "deployment", deployment, unchanged ? "unchanged" : "succeeded");
  };
}

/** What a register step left, or a model that the registry holds. */
async function versionOfInput(plane: ControlPlane, context: RecordStepContext): Promise<HeldVersion> {
  const { record, artifacts } = plane;
  const input = requireInput(context, "model");
  if (input.ref.type === "value") {
    const value = await readValue(artifacts, input.ref);
    if (typeof value === "object" && value !== null && "model" in value && "version" in value) {
      const row = await record.models.version(String(value["model"]), Number(value["version"]));
      if (row !== undefined) return requireContent(plane, row);
    }
  }
  const [, name, alias, number] = /^models:\/([^@/]+)(?:@(.+)|\/(\d+))$/.exec(input.reference) ?? [];
  if (name !== undefined) {
    const row = await record.models.version(name, number === undefined ? `@${alias}` : Number(number));
    // The run resolved the alias when it began; what it points to now may be another version.
    if (row?.digest === input.ref.digest) return requireContent(plane, row);
  }
  throw new EspalierError("INVALID_PIPELINE", "This input names no registered version", {
    at: `steps.${context.step}.inputs.model`,
    hint: "Take `register.version`, or `models:/name@alias`.",
  });
}
