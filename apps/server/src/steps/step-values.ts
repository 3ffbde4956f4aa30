import {
  type ArtifactRef,
  type Artifacts,
  EspalierError,
  type Json,
  type RecordStepContext,
  type RecordStepResult,
} from "@espalier/core";

type Input = RecordStepContext["inputs"][string];

export function requireInput(context: RecordStepContext, name: string): Input {
  const input = context.inputs[name];
  if (input !== undefined) return input;
  throw new EspalierError("INVALID_PIPELINE", `Step ${context.step} needs the input ${name}`, {
    at: `steps.${context.step}.inputs.${name}`,
  });
}

/** The JSON document of an input of type `value`. */
export async function readValue(artifacts: Artifacts, ref: ArtifactRef): Promise<Json> {
  return JSON.parse(Buffer.from(await artifacts.readBytes(ref, undefined, 64 * 1024)).toString("utf8")) as Json;
}

/** A result with one output: a small JSON document, in the store and on record. */
export async function valueOutput(
  artifacts: Artifacts,
  output: string,
  value: Json,
  state: "succeeded" | "unchanged" = "succeeded",
): Promise<RecordStepResult> {
  const ref = await artifacts.putBytes(Buffer.from(JSON.stringify(value)), "value");
  return { state, outputs: { [output]: ref }, values: { [output]: value } };
}
