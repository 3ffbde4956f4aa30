import type { ControlPlane } from "../control-plane.ts";
import { followChanges } from "../events/follow-changes.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";

export function eventHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"events">> {
  return {
    "events.stream": ({ query, lastEventId, signal }) => followChanges(plane, lastEventId ?? query.after, signal),
  };
}
