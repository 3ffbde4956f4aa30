import { parentPort, workerData } from "node:worker_threads";
import { openOnnxSession } from "./onnx-client.ts";
import type { ThreadAnswer, ThreadQuestion, ThreadStart } from "./onnx-thread.ts";

/** A worker thread with one session: answers runs until it is told to end. A model that can not be opened ends it with that error. */
const { file } = workerData as ThreadStart;
const session = await openOnnxSession(file);

const answer = (message: ThreadAnswer): void => parentPort?.postMessage(message);

async function onQuestion(question: ThreadQuestion): Promise<void> {
  if (question.kind === "end") {
    await session.release();
    parentPort?.close();
    return;
  }
  try {
    answer({ kind: "outputs", outputs: await session.run(question.feeds, question.outputs) });
  } catch (error) {
    answer({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

parentPort?.on("message", (question: ThreadQuestion) => void onQuestion(question));
answer({ kind: "ready", inputs: [...session.inputs], outputs: [...session.outputs] });
