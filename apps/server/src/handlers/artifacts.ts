import {
  type ArtifactRef,
  type ArtifactType,
  blobKey,
  EspalierError,
  isDigest,
  isEspalierError,
  isTree,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { pageOfList } from "../http/page-of-list.ts";
import { takeUpload } from "../http/take-upload.ts";

export function artifactHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"artifacts"> | NamesUnder<"blobs">> {
  const { record, artifacts, stack, signer } = plane;
  return {
    "artifacts.ofRun": async ({ params, query }) => {
      const run = await record.runs.get(await record.runs.resolve(params.runId));
      const page = await record.runs.outputs(run?.id ?? params.runId, query);
      return {
        ...page,
        items: page.items.map((item) => {
          const determinism = run?.pipeline.steps[item.step]?.outputs?.[item.output]?.determinism;
          return { ...item, ...(determinism === undefined ? {} : { determinism }) };
        }),
      };
    },
    "artifacts.files": async ({ params, query }) => {
      const ref = await knownArtifact(plane, params.digest, query.type);
      const entries = isTree(ref)
        ? await asTree(plane, ref, () => artifacts.entries(ref))
        : [{ path: "", size: ref.size, sha256: ref.digest.slice(7), executable: false }];
      return pageOfList(entries, query);
    },
    "artifacts.download": async ({ params, query }) => {
      const ref = await knownArtifact(plane, params.digest, query.type);
      const { size, body } = await asTree(plane, ref, () =>
        artifacts.open(ref, query.path === "" ? undefined : query.path),
      );
      const name = query.path.split("/").at(-1);
      return { body, size, fileName: name === undefined || name === "" ? `${ref.digest.slice(7, 19)}` : name };
    },
    "blobs.get": async ({ rest, query }) => {
      signer.verify(rest, "GET", query);
      const found = await stack.artifactStore.head(rest);
      if (found === undefined) throw new EspalierError("NOT_FOUND", `There is no blob ${rest}`);
      return { body: await stack.artifactStore.get(rest), size: found.size };
    },
    "blobs.put": async ({ rest, query, body, contentLength }) => {
      signer.verify(rest, "PUT", query);
      await takeUpload(stack.artifactStore, rest, query.checksum, body, contentLength);
      return { digest: `sha256:${query.checksum}`, size: contentLength ?? 0 };
    },
  };
}

/** A file that the request calls a tree is not damaged for that. */
async function asTree<Value>(
  { artifacts }: ControlPlane,
  ref: ArtifactRef,
  read: () => Promise<Value>,
): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    if (!isTree(ref) || !isEspalierError(error) || error.code !== "CORRUPTED") throw error;
    await artifacts.verify({ ...ref, type: "file" });
    throw new EspalierError("INVALID_INPUT", `${ref.digest} is no ${ref.type}`, { at: "query.type", cause: error });
  }
}

/** The type travels with the request, since a digest alone does not tell a tree from a file. */
async function knownArtifact({ stack }: ControlPlane, digest: string, type: ArtifactType): Promise<ArtifactRef> {
  if (!isDigest(digest))
    throw new EspalierError("INVALID_INPUT", "A digest is sha256: and 64 hexadecimal digits", { at: "params.digest" });
  const held = await stack.artifactStore.head(blobKey(digest));
  // The blob of a tree is its list: its own size says nothing of the tree, and nobody asks for it here.
  if (held !== undefined) return { type, digest, size: held.size };
  throw new EspalierError("NOT_FOUND", `There is no ${type} ${digest}`);
}
