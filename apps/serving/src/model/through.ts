import { EspalierError } from "@espalier/core";
import type { LoadedModel } from "./model.ts";

/** Whether the model's rows are no table of plain values: then only MLflow's own parser can read a request. */
export function isReadByMlflow({ invoke, signature }: LoadedModel): boolean {
  return invoke !== undefined && signature.inputs.length === 0;
}

/** Errors: UNSUPPORTED for a model that takes no tables. */
export function requireTable(model: LoadedModel): void {
  if (!isReadByMlflow(model)) return;
  throw new EspalierError(
    "UNSUPPORTED",
    "This model has no signature of plain columns or tensors, so only MLflow's /invocations can be asked",
    { hint: "Log the model with a signature: `log_model(..., signature=infer_signature(rows, predictions))`." },
  );
}
