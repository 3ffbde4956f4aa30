import type { FastifyInstance } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";
import { createArtifactFolders } from "../artifacts/folders.ts";
import { wholeFolder } from "../artifacts/listing.ts";
import { folderPath, pathOfUrl } from "../artifacts/paths.ts";
import { requireReadable, requireRemovable, requireWritable } from "../artifacts/reach.ts";
import { createFileReceiver } from "../artifacts/receive.ts";
import { audited, bodyOf, callerOf, sendJson, takeBodiesAsBytes } from "../artifacts/requests.ts";
import { readable, sendFile } from "../artifacts/send-file.ts";
import { type Fields, optionalText } from "../fields.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty } from "../mlflow-route.ts";
import { registerArtifactDownloads } from "./artifact-downloads.ts";
import { registerArtifactUploads } from "./artifact-uploads.ts";

const prefixes = ["/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts"] as const;
const read = { config: { policy: "mlflow-read" }, exposeHeadRoute: false } as const;
const write = { config: { policy: "mlflow-write" }, bodyLimit: Number.MAX_SAFE_INTEGER } as const;

/** The `mlflow-artifacts` proxy: bytes by path, streamed both ways, each content stored once. */
export function registerArtifactProxy(scope: FastifyInstance, plane: ControlPlane): void {
  const { record } = plane;
  const folders = createArtifactFolders(plane);
  const receiver = createFileReceiver(plane);
  takeBodiesAsBytes(scope);
  registerArtifactDownloads(scope, plane, folders, receiver);

  for (const prefix of prefixes) {
    registerArtifactUploads(scope, plane, prefix, folders, receiver);
    const behind = "/mlflow-artifacts/artifacts/";

    scope.get(`${prefix}/artifacts`, read, async (request, reply) => {
      const caller = await callerOf(plane, request);
      const folder = folderPath(optionalText(request.query as Fields, "path"));
      await requireReadable(plane, caller.scope, folder);
      const files = await readable(() => wholeFolder(folders, folder));
      return sendJson(reply, files.length === 0 ? empty : { files });
    });
    scope.get(`${prefix}/artifacts/*`, read, async (request, reply) => {
      const caller = await callerOf(plane, request);
      const path = pathOfUrl(request.originalUrl, behind);
      await requireReadable(plane, caller.scope, path);
      const file = await readable(() => folders.find(path));
      if (file === undefined) throw mlflowError("RESOURCE_DOES_NOT_EXIST", `There is no file ${path}`);
      return sendFile(request, reply, file);
    });
    scope.put(`${prefix}/artifacts/*`, write, async (request, reply) => {
      const { principal, scope: reach } = await callerOf(plane, request);
      const path = pathOfUrl(request.originalUrl, behind);
      await requireWritable(plane, reach, path);
      await receiver.put(path, bodyOf(request), principal.actor);
      return sendJson(reply, empty);
    });
    scope.delete(`${prefix}/artifacts/*`, write, async (request, reply) => {
      const caller = await callerOf(plane, request);
      const path = pathOfUrl(request.originalUrl, behind);
      await audited(plane, request, "mlflow.artifacts.delete", path, async () => {
        await requireRemovable(plane, caller.scope, path);
        await record.files.remove(path);
      });
      return sendJson(reply, empty);
    });
  }
}
