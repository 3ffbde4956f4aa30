import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { createMoves } from "../moves/moves.ts";
import { planMove } from "../moves/plan-move.ts";
import { actorOf } from "./actor.ts";

export function moveHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"moves">> {
  const moves = createMoves(plane);
  return {
    "moves.plan": ({ query }) => planMove(plane, query.from, query.to),
    "moves.start": async (context) => moves.start(context.body, actorOf(context)),
    "moves.get": async ({ params }) => moves.get(params.moveId),
    "moves.events": async function* ({ params, signal }) {
      for await (const move of moves.follow(params.moveId, signal)) yield { data: move };
    },
  };
}
