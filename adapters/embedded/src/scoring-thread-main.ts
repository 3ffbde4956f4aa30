import { parentPort, workerData } from "node:worker_threads";
import { EspalierError } from "@espalier/core";
import { scoreBatch } from "./batch/score-batch.ts";
import type { ScoringReply, ScoringRequest, ScoringThreadData } from "./batch/scoring-message.ts";
import { createSession, type Feed, type GraphFeed, type GraphOutput, runSession } from "./onnx-session-client.ts";

/** A thread of `batch-predict`: one session of the model on one core. onnxruntime's `run` holds up the thread it is called on. */
const { path, name, outputNames } = workerData as ScoringThreadData;
if (parentPort === null) throw new EspalierError("INTERNAL", "A scoring thread is started as a worker thread");
const port = parentPort;
const session = await createSession(path, name);
const run = async (feeds: readonly GraphFeed[], rows: number): Promise<GraphOutput[]> =>
  owned(await runSession(session, feeds, outputNames, rows));
port.on("message", async (request: ScoringRequest) => {
  const reply: ScoringReply = await scoreBatch(run, request);
  const buffers = reply.parts.flatMap(({ outputs }) =>
    outputs.flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer as ArrayBuffer])),
  );
  port.postMessage(reply, buffers);
});

/** Memory that the runtime owns can not be handed to another thread. */
function owned(outputs: GraphOutput[]): GraphOutput[] {
  return outputs.map((output) => ({ ...output, data: output.data.slice() as Feed }));
}
