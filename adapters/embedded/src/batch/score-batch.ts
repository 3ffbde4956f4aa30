import type { InferenceSession } from "onnxruntime-node";
import { type Feed, type GraphFeed, type GraphOutput, runSession } from "../onnx-session-client.ts";
import type { ScoringReply, ScoringRequest } from "./scoring-message.ts";

/** Runs a batch; when it fails it is halved until the rows are found that the model fails on. */
export async function scoreBatch(
  session: InferenceSession,
  outputNames: readonly string[],
  { id, rows, feeds, stopsAtFirst }: ScoringRequest,
): Promise<ScoringReply> {
  const reply: ScoringReply = { id, parts: [], failed: [] };
  const run = async (first: number, count: number): Promise<void> => {
    if (stopsAtFirst && reply.failed.length > 0) return;
    try {
      const part = count === rows ? feeds : feeds.map((feed) => slice(feed, rows, first, count));
      reply.parts.push({ first, rows: count, outputs: owned(await runSession(session, part, outputNames, count)) });
    } catch (error) {
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

/** Memory that the runtime owns can not be handed to another thread. */
function owned(outputs: GraphOutput[]): GraphOutput[] {
  return outputs.map((output) => ({ ...output, data: output.data.slice() as Feed }));
}
