import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client } from "@espalier/contract";
import { EspalierError, isEspalierError } from "@espalier/core";

export interface BatchModel {
  name: string;
  version: number;
  digest: string;
}

/** `name@version`, `name@alias`, or an endpoint, of which the version with most of the traffic predicts. NOT_FOUND. */
export async function findBatchModel(client: Client, target: string): Promise<BatchModel> {
  const [name = "", wanted] = target.includes("@") ? splitAt(target) : await servedBy(client, target);
  const version = /^\d+$|^latest$/.test(wanted) ? wanted : `@${wanted}`;
  const found = await client.call("models.version", { params: { name, version } });
  if (found.artifact === undefined) {
    throw new EspalierError("NOT_FOUND", `Version ${found.version} of ${name} has no files`, {
      hint: "It was registered by address; register the model again once its files are logged.",
    });
  }
  return { name, version: found.version, digest: found.artifact.digest };
}

function splitAt(target: string): [string, string] {
  const at = target.lastIndexOf("@");
  return [target.slice(0, at), target.slice(at + 1)];
}

async function servedBy(client: Client, endpoint: string): Promise<[string, string]> {
  try {
    const { versions } = await client.call("endpoints.get", { params: { name: endpoint } });
    const [most] = [...versions].sort((a, b) => b.weight - a.weight);
    if (most !== undefined) return [most.model, most.version];
    throw new EspalierError("NOT_FOUND", `The endpoint ${endpoint} serves nothing`);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
    throw new EspalierError("NOT_FOUND", `There is no endpoint ${endpoint} that serves a model`, {
      cause: error,
      hint: `A model is named with its version: ${endpoint}@3, ${endpoint}@champion or ${endpoint}@latest.`,
    });
  }
}

/** The model's files, verified on the way, below `folder`. */
export async function fetchBatchModel(client: Client, digest: string, folder: string): Promise<void> {
  const params = { digest };
  for await (const file of client.all("artifacts.files", { params, query: { type: "model" } })) {
    const target = resolve(join(folder, file.path));
    if (!target.startsWith(resolve(folder) + sep)) {
      throw new EspalierError("CORRUPTED", `The model has a file outside of itself: ${file.path}`);
    }
    await mkdir(dirname(target), { recursive: true });
    const body = await client.bytes("artifacts.download", { params, query: { type: "model", path: file.path } });
    await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(target));
  }
}
