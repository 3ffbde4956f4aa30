import type { Packaging } from "@espalier/contract";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { createPackagings } from "../packaging/packagings.ts";
import { actorOf } from "./actor.ts";
import { requireVersion, versionReference } from "./models.ts";

export function packagingHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"packagings">> {
  const packagings = createPackagings(plane);
  return {
    "packagings.start": async (context) => {
      const { model, version: reference, ...options } = context.body;
      const version = await requireVersion(plane, model, versionReference(reference));
      return packagings.start({ version, ...options }, actorOf(context));
    },
    "packagings.get": async ({ params }) => packagings.get(params.packagingId),
    "packagings.events": async function* ({ params, signal }) {
      for await (const packaging of packagings.follow(params.packagingId, signal))
        yield { data: packaging as Packaging };
    },
  };
}
