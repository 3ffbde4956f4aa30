import { EspalierError, Secret } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { actorOf } from "./actor.ts";

export function accessHandlers({
  record,
  stack,
}: ControlPlane): HandlersOf<NamesUnder<"secrets"> | NamesUnder<"tokens"> | NamesUnder<"audit">> {
  const readOnly = (doing: string): EspalierError =>
    new EspalierError("UNSUPPORTED", `The secret store of the stack ${stack.name} can not ${doing}`, {
      at: `stacks.${stack.name}.secrets`,
      hint: "Set it where the store reads it from, such as the environment.",
    });
  return {
    "secrets.list": async () => {
      if (!stack.secrets.list) throw readOnly("list names");
      return { items: (await stack.secrets.list()).map((name) => ({ name })) };
    },
    "secrets.set": async ({ params, body }) => {
      if (!stack.secrets.put) throw readOnly("take secrets");
      await stack.secrets.put(params.name, new Secret(body.value));
      return { done: true };
    },
    "secrets.delete": async ({ params }) => {
      if (!stack.secrets.delete) throw readOnly("delete secrets");
      await stack.secrets.delete(params.name);
      return { done: true };
    },
    "tokens.list": ({ query }) => record.tokens.list(query),
    "tokens.create": (input) =>
      record.tokens.create({
        name: input.body.name,
        role: input.body.role,
        createdBy: actorOf(input),
        ...(input.body.expiresInSeconds === undefined ? {} : { expiresInSeconds: input.body.expiresInSeconds }),
      }),
    "tokens.revoke": async ({ params }) => {
      await record.tokens.revoke(params.tokenId);
      return { done: true };
    },
    "audit.list": ({ query }) => record.audit.list(query, query),
  };
}
