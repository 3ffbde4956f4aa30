import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { followLog, readLog } from "../runs/step-log.ts";

export function logHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"logs">> {
  return {
    "logs.get": ({ params, query }) => readLog(plane, { ...params, ...query }, query.offset),
    "logs.follow": ({ params, query, lastEventId, signal }) =>
      followLog(plane, { ...params, ...query }, lastEventId ?? query.offset, signal),
  };
}
