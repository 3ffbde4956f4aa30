import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ControlPlane } from "../../control-plane.ts";
import type { ArtifactFolders } from "../artifacts/folders.ts";
import { folderOfLocation, missingLoggedModel } from "../artifacts/locations.ts";
import { artifactPath, joinPaths } from "../artifacts/paths.ts";
import { requireReadable, requireWritable } from "../artifacts/reach.ts";
import type { FileReceiver } from "../artifacts/receive.ts";
import { bodyOf, callerOf, sendJson } from "../artifacts/requests.ts";
import { readable, sendFile } from "../artifacts/send-file.ts";
import { type Fields, optionalId, requiredText } from "../fields.ts";
import { mlflowError } from "../mlflow-error.ts";
import { empty } from "../mlflow-route.ts";
import { downloadUri } from "../registry/model-document.ts";
import { missingRun, requireActiveRun, requireRunInfo } from "../tracked.ts";

const read = { config: { policy: "mlflow-read" }, exposeHeadRoute: false } as const;
/** Bytes; what a browser sends is small, as in MLflow's own server. */
const largestFormUpload = 10 * 1024 * 1024;

/** Files as MLflow's user interface asks for them: by run, by version of a model, by logged model. */
export function registerArtifactDownloads(
  scope: FastifyInstance,
  plane: ControlPlane,
  folders: ArtifactFolders,
  receiver: FileReceiver,
): void {
  const { record } = plane;
  const ajax = "/ajax-api/2.0/mlflow";

  async function send(request: FastifyRequest, reply: FastifyReply, path: string): Promise<FastifyReply> {
    const caller = await callerOf(plane, request);
    await requireReadable(plane, caller.scope, path);
    const file = await readable(() => folders.find(path));
    if (file === undefined) throw mlflowError("RESOURCE_DOES_NOT_EXIST", `There is no file ${path}`);
    return sendFile(request, reply, file);
  }

  for (const url of ["/get-artifact", `${ajax}/get-artifact`]) {
    scope.get(url, read, async (request, reply) => {
      const caller = await callerOf(plane, request);
      const fields = request.query as Fields;
      const path = artifactPath(requiredText(fields, "path"));
      const run = await requireRunInfo(plane, caller.scope, runIdOf(fields));
      return send(request, reply, joinPaths(folderOfLocation(run.artifactUri), path));
    });
  }
  for (const url of ["/model-versions/get-artifact", `${ajax}/model-versions/get-artifact`]) {
    scope.get(url, read, async (request, reply) => {
      const fields = request.query as Fields;
      const path = artifactPath(requiredText(fields, "path"));
      const version = Number(requiredText(fields, "version"));
      const found = await record.registry.versions.get(
        requiredText(fields, "name"),
        Number.isSafeInteger(version) ? version : -1,
      );
      return send(request, reply, joinPaths(folderOfLocation(downloadUri(found)), path));
    });
  }
  scope.get<{ Params: { id: string } }>(`${ajax}/logged-models/:id/artifacts/files`, read, async (request, reply) => {
    const path = artifactPath(requiredText(request.query as Fields, "artifact_file_path"));
    const model = (await record.loggedModels.get(request.params.id)) ?? missingLoggedModel(request.params.id);
    return send(request, reply, joinPaths(folderOfLocation(model.artifactLocation), path));
  });
  scope.post(
    `${ajax}/upload-artifact`,
    { config: { policy: "mlflow-write" }, bodyLimit: largestFormUpload },
    async (request, reply) => {
      const { principal, scope: reach } = await callerOf(plane, request);
      const fields = request.query as Fields;
      const inside = artifactPath(requiredText(fields, "path"));
      const run = await requireActiveRun(plane, reach, runIdOf(fields));
      const path = joinPaths(folderOfLocation(run.artifactUri), inside);
      await requireWritable(plane, reach, path);
      const body = bodyOf(request);
      if ((body.size ?? 0) > largestFormUpload) {
        throw mlflowError("INVALID_PARAMETER_VALUE", "Artifact size is too large. Max size is 10MB.");
      }
      await receiver.put(path, body, principal.actor);
      return sendJson(reply, empty);
    },
  );
}

/** Clients send the one name, the other, or both. */
function runIdOf(fields: Fields): string {
  return optionalId(fields, "run_id") ?? optionalId(fields, "run_uuid") ?? missingRun("");
}
