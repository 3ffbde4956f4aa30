import { join } from "node:path";
import type { ModelSignature } from "@espalier/core";
import { readModelFolder } from "../model-folder.ts";
import { signatureOf } from "../onnx-client.ts";
import { createSession } from "../onnx-session-client.ts";
import { readPythonFolder } from "../python/python-folder.ts";
import { feedTypes, openPythonModel, pythonOf } from "../python/python-model.ts";
import { artifactDigest } from "../steps/artifact-digest.ts";
import { type FeedLayout, layoutFeeds } from "./feed-layout.ts";
import { type OutputColumn, outputColumns } from "./output-columns.ts";
import { PythonPool } from "./python-pool.ts";
import { type Scorer, ScoringPool } from "./scoring-pool.ts";

export interface BatchModel {
  digest: string;
  signature: ModelSignature;
  layout: readonly FeedLayout[];
  outputs: OutputColumn[];
  /** Starts what runs it, on so many cores. The caller closes it. */
  start(cores: number): Promise<Scorer>;
}

/** A model of any kind, described. `wanted`: outputs beside the score, by name. */
export async function describeBatchModel(folder: string, wanted: "all" | readonly string[]): Promise<BatchModel> {
  const python = await readPythonFolder(folder, "model");
  const digest = await artifactDigest(folder);
  if (python !== undefined) {
    const program = pythonOf("model", process.env);
    const first = await openPythonModel(python, program);
    const { signature, layout } = first;
    const answered = signature.outputs.map(({ name, type }) => ({ name, isTensor: true, type: feedTypes[type] }));
    try {
      const outputs = outputColumns(wanted, signature, answered, "model");
      const start = async (cores: number): Promise<Scorer> => {
        const others = Array.from({ length: cores - 1 }, () => openPythonModel(python, program));
        return new PythonPool([first, ...(await Promise.all(others))]);
      };
      return { digest, signature, layout, outputs, start };
    } catch (error) {
      await first.close();
      throw error;
    }
  }
  const { file, signature: given, inputs } = await readModelFolder(folder, "model");
  const path = join(folder, file);
  const session = await createSession(path, "model");
  try {
    const signature = given ?? signatureOf(inputs ?? [], session);
    const outputs = outputColumns(wanted, signature, session.outputMetadata, "model");
    const outputNames = [...new Set(outputs.map(({ output }) => output))];
    return {
      digest,
      signature,
      layout: layoutFeeds(signature, session.inputMetadata, "model"),
      outputs,
      start: async (cores) => new ScoringPool({ path, name: "model", outputNames }, cores),
    };
  } finally {
    await session.release();
  }
}
