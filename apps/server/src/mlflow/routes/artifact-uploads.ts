import { randomBytes } from "node:crypto";
import { blobKey } from "@espalier/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { ControlPlane } from "../../control-plane.ts";
import { mostParts } from "../../db/queries/file-uploads.ts";
import { createUrlSigner, type UrlSigner } from "../../http/url-signer.ts";
import type { ArtifactFolders } from "../artifacts/folders.ts";
import { artifactPath, joinPaths, pathOfUrl } from "../artifacts/paths.ts";
import { requireReadable, requireWritable } from "../artifacts/reach.ts";
import type { FileReceiver } from "../artifacts/receive.ts";
import { audited, bodyOf, callerOf, fieldsOfBody, sendJson } from "../artifacts/requests.ts";
import { readable, sendFile } from "../artifacts/send-file.ts";
import { asFields, fieldsList, missing, optionalCount, optionalText, requiredText } from "../fields.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty } from "../mlflow-route.ts";

/** As long as an upload is kept that nobody completes. */
const uploadSeconds = 24 * 3600;
const downloadSeconds = 900;
/** The list of 10,000 parts, each with its URL. */
const largestDocument = 8 * 1024 * 1024;

const signedQuery = z.object({ expires: z.coerce.number(), signature: z.string() });

/** Uploads in parts, and downloads by ranges: both by URLs that carry their right in a signature, for clients send them without a token. */
export function registerArtifactUploads(
  scope: FastifyInstance,
  plane: ControlPlane,
  prefix: string,
  folders: ArtifactFolders,
  receiver: FileReceiver,
): void {
  const { record } = plane;
  let made: Promise<UrlSigner> | undefined;
  // The same on every control plane and after a restart, so that an upload goes on.
  const signer = (): Promise<UrlSigner> =>
    (made ??= record.settings
      .secret("artifacts.url-secret")
      .then((secret) => createUrlSigner(plane.publicUrl, secret)));
  const write = { config: { policy: "mlflow-write" }, bodyLimit: largestDocument } as const;
  const signed = { config: { policy: "signed" }, bodyLimit: Number.MAX_SAFE_INTEGER, exposeHeadRoute: false } as const;

  /** Clients name their own file with its folders; only its name counts. */
  function target(request: FastifyRequest, action: string, given: string): string {
    const name = given.slice(Math.max(given.lastIndexOf("/"), given.lastIndexOf("\\")) + 1);
    return artifactPath(joinPaths(pathOfUrl(request.originalUrl, `/mpu/${action}/`), name));
  }

  scope.post(`${prefix}/mpu/create/*`, write, async (request, reply) => {
    const { principal, scope: reach } = await callerOf(plane, request);
    const fields = await fieldsOfBody(request, largestDocument);
    const path = target(request, "create", requiredText(fields, "path"));
    const parts = optionalCount(fields, "num_parts") ?? 1;
    if (parts < 1 || parts > mostParts) {
      throw mlflowError("INVALID_PARAMETER_VALUE", `An upload has 1 to ${mostParts} parts, not ${parts}`);
    }
    await requireWritable(plane, reach, path);
    const id = randomBytes(24).toString("hex");
    const { query } = await signer();
    await record.fileUploads.create({ id, path, parts, createdBy: principal.actor });
    const base = `${originOf(plane, request)}${prefix}/mpu/parts/${id}`;
    const credentials = Array.from({ length: parts }, (_, index) => ({
      url: `${base}/${index + 1}?${query(`part/${id}/${index + 1}`, "PUT", { expiresSeconds: uploadSeconds })}`,
      part_number: index + 1,
      headers: {},
    }));
    return sendJson(reply, { upload_id: id, credentials });
  });

  scope.put<{ Params: { upload: string; part: string } }>(
    `${prefix}/mpu/parts/:upload/:part`,
    signed,
    async (request, reply) => {
      const { upload, part } = request.params;
      (await signer()).verify(`part/${upload}/${part}`, "PUT", signatureOf(request));
      const digest = await receiver.putPart(upload, Number(part), bodyOf(request));
      return sendJson(reply.header("etag", `"${digest}"`), empty);
    },
  );

  scope.post(`${prefix}/mpu/complete/*`, write, async (request, reply) => {
    const { principal, scope: reach } = await callerOf(plane, request);
    const fields = await fieldsOfBody(request, largestDocument);
    const path = target(request, "complete", requiredText(fields, "path"));
    await requireWritable(plane, reach, path);
    const etags = new Map(
      fieldsList(fields, "parts").map((part) => [
        optionalCount(part, "part_number") ?? missing("part_number"),
        optionalText(part, "etag") ?? "",
      ]),
    );
    await receiver.complete(requiredText(fields, "upload_id"), path, etags, principal.actor);
    return sendJson(reply, empty);
  });

  scope.post(`${prefix}/mpu/abort/*`, write, async (request, reply) => {
    const { scope: reach } = await callerOf(plane, request);
    const fields = await fieldsOfBody(request, largestDocument);
    const path = target(request, "abort", requiredText(fields, "path"));
    await audited(plane, request, "mlflow.artifacts.abort", path, async () => {
      await requireReadable(plane, reach, path);
      const id = requiredText(fields, "upload_id");
      if ((await record.fileUploads.get(id))?.path === path) await record.fileUploads.abort(id);
    });
    return sendJson(reply, empty);
  });

  scope.get(
    `${prefix}/presigned/*`,
    { config: { policy: "mlflow-read" }, exposeHeadRoute: false },
    async (request, reply) => {
      const { scope: reach } = await callerOf(plane, request);
      const path = pathOfUrl(request.originalUrl, "/presigned/");
      await requireReadable(plane, reach, path);
      const file = await readable(() => folders.find(path));
      if (file === undefined) throw mlflowError("RESOURCE_DOES_NOT_EXIST", `There is no file ${path}`);
      const { presign } = plane.stack.artifactStore;
      if (presign !== undefined && file.blob !== undefined && (await plane.artifacts.exists(file.blob))) {
        const url = await presign(blobKey(file.blob.digest), "GET", { expiresSeconds: downloadSeconds });
        return sendJson(reply, { url, headers: {}, file_size: file.size });
      }
      const query = (await signer()).query(`file/${path}`, "GET", { expiresSeconds: downloadSeconds });
      const encoded = path.split("/").map(encodeURIComponent).join("/");
      const url = `${originOf(plane, request)}${prefix}/signed/${encoded}?${query}`;
      return sendJson(reply, { url, headers: {}, file_size: file.size });
    },
  );

  scope.get(`${prefix}/signed/*`, signed, async (request, reply) => {
    const [url = ""] = request.originalUrl.split("?");
    const path = pathOfUrl(url, "/signed/");
    (await signer()).verify(`file/${path}`, "GET", signatureOf(request));
    const file = await readable(() => folders.find(path));
    if (file === undefined) throw mlflowError("RESOURCE_DOES_NOT_EXIST", `There is no file ${path}`);
    return sendFile(request, reply, file);
  });
}

function signatureOf(request: FastifyRequest): { expires: number; signature: string } {
  const query = signedQuery.safeParse(asFields(request.query, "query"));
  if (!query.success) throw mlflowError("PERMISSION_DENIED", "The URL has no signature");
  return query.data;
}

/** The address that the client used is one that it reaches; behind a proxy that ends TLS only the configured one says so. */
function originOf({ project }: ControlPlane, request: FastifyRequest): string {
  const configured = project.config.control_plane?.url;
  if (configured !== undefined && new URL(configured).hostname === request.hostname) {
    return configured.replace(/\/+$/, "");
  }
  return `${request.protocol}://${request.host}`;
}
