import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type ArtifactRef, type ModelSignature, modelSignatureSchema } from "@espalier/core";
import { entryPoint } from "@espalier/host";
import type { ControlPlane } from "../../control-plane.ts";
import type { FolderEntry } from "../../db/queries/files.ts";
import { mlflowVersion } from "../routes/system.ts";
import type { VirtualFiles } from "./folders.ts";
import { renderMlmodel } from "./render-mlmodel.ts";
import { findInArtifact, listArtifact, pageOfEntries } from "./tree-files.ts";

/** Experiments have numbers: none can be called so. */
export const modelsFolder = "espalier";

const largestSignatureBytes = 1024 * 1024;

/**
 * The files of a model version, read-only, below the digest of its tree: only digests that the record knows as a version's, since a digest
 * of anything else is no way around who may read what. What MLflow asks for beside the model is rendered. undefined: no such version.
 */
export async function modelFiles(plane: ControlPlane, sha256: string): Promise<VirtualFiles | undefined> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  const model = await plane.record.published.model(`sha256:${sha256}`);
  if (model === undefined) return undefined;
  const { artifacts } = plane;
  const { artifact } = model;
  const top = (await artifacts.level(artifact, "")) ?? [];
  const has = (path: string): boolean => top.some((entry) => entry.path === path);
  const signature = model.signature ?? (has("signature.json") ? await readSignature(plane, artifact) : undefined);

  // A folder of MLflow's own inside a model of ours is what MLflow's client wants to see.
  const base =
    !has("MLmodel") && signature?.format === "mlflow" && has(`${signature.payload}/`) ? signature.payload : "";
  const inside = (path: string): string => (base === "" ? path : path === "" ? base : `${base}/${path}`);
  const rendered = new Map<string, Buffer>();
  if (signature?.format === "onnx" && !has("MLmodel")) {
    const loader = await readFile(entryPoint("onnx-loader"), "utf8");
    const texts = renderMlmodel({ sha256, signature, size: artifact.size, mlflowVersion, loader });
    for (const [path, text] of Object.entries(texts)) rendered.set(path, Buffer.from(text));
  }

  return {
    async find(path) {
      const found = path === "" ? undefined : await findInArtifact(artifacts, artifact, inside(path));
      if (found !== undefined) return found;
      const bytes = rendered.get(path);
      if (bytes === undefined) return undefined;
      return {
        size: bytes.length,
        sha256: createHash("sha256").update(bytes).digest("hex"),
        open: async (range) => one(range === undefined ? bytes : bytes.subarray(range.start, range.end)),
      };
    },
    async list(folder, limit, after) {
      const entries = new Map<string, FolderEntry>();
      for (const [path, bytes] of rendered) {
        const prefix = folder === "" ? "" : `${folder}/`;
        if (!path.startsWith(prefix)) continue;
        const [name = "", ...below] = path.slice(prefix.length).split("/");
        entries.set(name, below.length > 0 ? { name, isFolder: true } : { name, isFolder: false, size: bytes.length });
      }
      for (const entry of await listArtifact(artifacts, artifact, inside(folder))) entries.set(entry.name, entry);
      return pageOfEntries([...entries.values()], limit, after);
    },
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A version that MLflow's client registered has a signature of MLflow's form, or none: then its folder is whole as it is. */
async function readSignature({ artifacts }: ControlPlane, artifact: ArtifactRef): Promise<ModelSignature | undefined> {
  const bytes = await artifacts.readBytes(artifact, "signature.json", largestSignatureBytes);
  try {
    return modelSignatureSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch {
    // A file of that name that is not ours is just a file.
    return undefined;
  }
}
