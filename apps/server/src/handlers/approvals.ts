import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { actorOf } from "./actor.ts";

export function approvalHandlers({ record, engine }: ControlPlane): HandlersOf<NamesUnder<"approvals">> {
  return {
    "approvals.list": ({ query }) => record.approvals.list({ state: query.state }, query),
    "approvals.decide": async (input) => {
      const approval = await record.approvals.decide(input.params.approvalId, {
        decision: input.body.decision,
        decidedBy: actorOf(input),
        ...(input.body.comment === undefined ? {} : { comment: input.body.comment }),
      });
      engine.wake(approval.runId);
      return approval;
    },
  };
}
