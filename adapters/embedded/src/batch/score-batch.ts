import { isEspalierError } from "@espalier/core";
import type { Feed, GraphFeed, GraphOutput } from "../onnx-session-client.ts";
import type { ScoringReply, ScoringRequest } from "./scoring-message.ts";

/** Runs a batch; when it fails it is halved until the rows are found that the model fails on. */
export async function scoreBatch(
  runModel: (feeds: readonly GraphFeed[], rows: number) => Promise<GraphOutput[]>,
  { id, rows, feeds, stopsAtFirst }: ScoringRequest,
): Promise<ScoringReply> {
  const reply: ScoringReply = { id, parts: [], failed: [] };
  const run = async (first: number, count: number): Promise<void> => {
    if (stopsAtFirst && reply.failed.length > 0) return;
    try {
      const part = count === rows ? feeds : feeds.map((feed) => slice(feed, rows, first, count));
      reply.parts.push({ first, rows: count, outputs: await runModel(part, count) });
    } catch (error) {
      // What does not come from the rows is no fault of theirs: a process that died, a graph of another shape.
      if (isEspalierError(error) && error.code !== "INVALID_INPUT") throw error;
      if (count === 1) {
        reply.failed.push({ row: first, message: error instanceof Error ? error.message : String(error) });
        return;
      }
      const half = count >> 1;
      await run(first, half);
      await run(first + half, count - half);
    }
  };
  await run(0, rows);
  return reply;
}

function slice(feed: GraphFeed, rows: number, first: number, count: number): GraphFeed {
  const width = feed.data.length / rows;
  return { ...feed, data: feed.data.slice(first * width, (first + count) * width) as Feed };
}
