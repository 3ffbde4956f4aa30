import type { ControlPlane } from "../control-plane.ts";
import { planEndpoints } from "../endpoints/plan-endpoints.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { definedOptions } from "../runs/create-run.ts";
import { makePlan } from "../runs/make-plan.ts";

export function planHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"plan">> {
  return {
    "plan.make": ({ body }) =>
      makePlan(plane, {
        pipeline: body.pipeline,
        params: body.params ?? {},
        stack: body.stack ?? plane.stack.name,
        options: definedOptions(body.options ?? {}),
        ...(body.logicalDate === undefined ? {} : { logicalDate: body.logicalDate }),
      }),
    "plan.endpoints": async ({ body }) => ({ endpoints: await planEndpoints(plane, body?.names) }),
  };
}
