import type { HttpParsed } from "../../http/answer-prediction.ts";
import type { ServedModel } from "../../repository/served-model.ts";
import type { V2Request } from "./request.ts";
import { renderV2 } from "./response.ts";

/** A V2 request with the way its predictions are told. */
export function v2Parsed(request: V2Request, served: ServedModel): HttpParsed {
  const { params, table, id, deadline, outputs } = request;
  return {
    table,
    id,
    deadline,
    // A parameter that the model does not know is a hint to somebody else.
    ...(served.model.takesParams === true ? { params } : {}),
    render: (prediction) =>
      renderV2(
        outputs,
        { id: id ?? prediction.predictionId, model: served.name, version: served.version, rows: table.rows },
        prediction.outputs,
      ),
  };
}
