import type { HttpParsed } from "../http/answer-prediction.ts";
import { badRequest } from "../http/request-error.ts";
import { checkedParams, formats, predictionsOf, tableOf } from "../protocol/mlflow.ts";
import type { ServedModel } from "../repository/served-model.ts";

/**
 * What Azure ML's own deployments of MLflow models take and give: `{"input_data", "params"}` with a data frame (`columns`, `data`), rows or
 * columns, answered by the predictions alone. Undefined for any other body. Errors: INVALID_INPUT.
 */
export function parseInputData(json: unknown, { model }: ServedModel): HttpParsed | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const given = json as Record<string, unknown>;
  const { input_data: data, params } = given;
  if (data === undefined) return undefined;
  const other = formats.find((format) => given[format] !== undefined);
  if (other !== undefined) throw badRequest(`The body must hold one of input_data and ${other}, not both`);
  const isFrame = typeof data === "object" && data !== null && "data" in data && "columns" in data;
  const table = tableOf(isFrame ? "dataframe_split" : "inputs", data, model.signature);
  return {
    table,
    params: checkedParams(params, "params", model),
    render: ({ outputs }) => ({ body: JSON.stringify(predictionsOf(outputs, table.rows)) }),
  };
}
