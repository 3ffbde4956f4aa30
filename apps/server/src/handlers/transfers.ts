import type { Transfer } from "@espalier/contract";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { mirrorStatuses } from "../mirrors/mirror-status.ts";
import { createTransfers, type ShownTransfer } from "../transfer/transfers.ts";
import { actorOf } from "./actor.ts";

export function transferHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"transfers"> | NamesUnder<"mirrors">> {
  const transfers = createTransfers(plane);
  return {
    "transfers.list": async ({ query }) => {
      const page = await plane.record.transfers.list(query);
      return { ...page, items: page.items.map((row) => infoOf(transfers.show(row))) };
    },
    "transfers.import": async (context) => infoOf(await transfers.import(context.body, actorOf(context))),
    "transfers.export": async (context) => infoOf(await transfers.export(context.body, actorOf(context))),
    "transfers.exportProject": async (context) => infoOf(await transfers.exportProject(context.body, actorOf(context))),
    "transfers.get": async ({ params }) => infoOf(await transfers.get(params.transferId)),
    "transfers.events": async function* ({ params, signal }) {
      for await (const shown of transfers.follow(params.transferId, signal)) yield { data: infoOf(shown) };
    },
    "mirrors.list": async () => ({ items: await mirrorStatuses(plane) }),
  };
}

function infoOf(row: ShownTransfer): Transfer {
  const result = row.result as Pick<Transfer, "counts" | "losses" | "description"> | undefined;
  return {
    id: row.id,
    direction: row.direction,
    peer: row.peer,
    state: row.state === "running" && !row.active ? "interrupted" : row.state,
    ...(row.progress === undefined ? {} : { progress: row.progress }),
    ...(result === undefined ? {} : result),
    ...(row.error === undefined ? {} : { error: row.error as Transfer["error"] & object }),
    startedBy: row.createdBy,
    startedAt: row.createdAt,
    ...(row.finishedAt === undefined ? {} : { finishedAt: row.finishedAt }),
  };
}
