import type { ControlPlane } from "../../control-plane.ts";
import { createArtifactFolders } from "../artifacts/folders.ts";
import { pageOfFolder } from "../artifacts/listing.ts";
import { folderOfLocation, missingLoggedModel } from "../artifacts/locations.ts";
import { folderPath } from "../artifacts/paths.ts";
import { readable } from "../artifacts/send-file.ts";
import { optionalId, optionalText, requiredId } from "../fields.ts";
import type { MlflowRoute } from "../mlflow-route.ts";
import { requireExperiment } from "../scope.ts";
import { requireRunInfo } from "../tracked.ts";
import { mlflowVersion } from "./system.ts";

/** Files of a run and of a logged model, listed; and what this server can do with files. */
export function runArtifactsRoutes(plane: ControlPlane): MlflowRoute[] {
  const folders = createArtifactFolders(plane);
  return [
    {
      method: "GET",
      path: "/mlflow/artifacts/list",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) => {
        const id = optionalId(fields, "run_id") ?? requiredId(fields, "run_uuid");
        const path = folderPath(optionalText(fields, "path"));
        const run = await requireRunInfo(plane, scope, id);
        const page = await readable(() =>
          pageOfFolder(folders, folderOfLocation(run.artifactUri), path, optionalText(fields, "page_token")),
        );
        return { root_uri: run.artifactUri, ...page };
      },
    },
    {
      method: "GET",
      path: "/mlflow/logged-models/:model_id/artifacts/directories",
      api: "2.0",
      access: "read",
      handle: async ({ fields, scope }) => {
        const id = requiredId(fields, "model_id");
        const path = folderPath(optionalText(fields, "artifact_directory_path"));
        const model = (await plane.record.loggedModels.get(id)) ?? missingLoggedModel(id);
        requireExperiment(scope, model.experimentId);
        const page = await readable(() =>
          pageOfFolder(folders, folderOfLocation(model.artifactLocation), path, optionalText(fields, "page_token")),
        );
        return { root_uri: model.artifactLocation, ...page };
      },
    },
    {
      method: "GET",
      path: "/mlflow/server-info",
      api: "3.0",
      access: "read",
      handle: () => ({
        store_type: "SqlStore",
        version: mlflowVersion,
        workspaces_enabled: false,
        trace_archival_enabled: false,
        // Clients choose by these two. Uploads in parts are there for whoever asks for them (MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD), but each
        // byte is then written twice: one stream is faster.
        multipart_uploads_enabled: false,
        // Clients would then ask for a signed URL before each file: worth it only where it leads past this server.
        multipart_downloads_enabled: plane.stack.artifactStore.presign !== undefined,
        presigned_upload_run_id_supported: false,
        presigned_upload_model_id_supported: false,
      }),
    },
  ];
}
