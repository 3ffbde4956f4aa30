import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EspalierError } from "@espalier/core";
import type { VertexOptions } from "./vertex.ts";

/** What platforms tell a container by its environment: SageMaker, Vertex AI, Azure ML, KServe and those that set PORT. */

type Environment = Readonly<Record<string, string | undefined>>;

/** Where platforms put a model without saying so: SageMaker, KServe. */
const modelFolders = ["/opt/ml/model", "/mnt/models"];

/** An empty variable is one that is not set. */
function given(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === undefined || value === "" ? undefined : value;
}

export function platformPort(environment: Environment): string | undefined {
  return (
    given(environment, "AIP_HTTP_PORT") ?? given(environment, "SAGEMAKER_BIND_TO_PORT") ?? given(environment, "PORT")
  );
}

/** The folder of the model; undefined when the platform names none and has put none where it puts them. Errors: UNSUPPORTED (`gs://`). */
export function platformModelFolder(environment: Environment): string | undefined {
  const named = given(environment, "ESPALIER_MODEL_DIR");
  if (named !== undefined) return named;
  const storage = given(environment, "AIP_STORAGE_URI");
  if (storage !== undefined) return storageFolder(storage);
  return given(environment, "AZUREML_MODEL_DIR") ?? modelFolders.find((folder) => existsSync(folder));
}

function storageFolder(address: string): string {
  if (address.startsWith("/")) return address;
  if (address.startsWith("file:///")) return fileURLToPath(address);
  // The image that `espalier package` makes has the model inside.
  const inside = modelFolders.find((folder) => existsSync(folder));
  if (inside !== undefined) return inside;
  throw new EspalierError(
    "UNSUPPORTED",
    `AIP_STORAGE_URI is ${address}, and this server has no client to download it`,
    {
      at: "AIP_STORAGE_URI",
      hint: "Put the model into the image (`espalier package` does), or name its folder with --model-dir or ESPALIER_MODEL_DIR.",
    },
  );
}

/** Absent elsewhere than on Vertex AI. Errors: INVALID_CONFIG for a route that is no path. */
export function vertexOptions(environment: Environment): VertexOptions | undefined {
  const [health, predict] = [given(environment, "AIP_HEALTH_ROUTE"), given(environment, "AIP_PREDICT_ROUTE")];
  if (health === undefined && predict === undefined) return undefined;
  const [endpoint, deployed] = [given(environment, "AIP_ENDPOINT_ID"), given(environment, "AIP_DEPLOYED_MODEL_ID")];
  const standard =
    endpoint === undefined || deployed === undefined
      ? undefined
      : `/v1/endpoints/${endpoint}/deployedModels/${deployed}`;
  return {
    healthRoute: route("AIP_HEALTH_ROUTE", health ?? standard ?? "/health"),
    predictRoute: route("AIP_PREDICT_ROUTE", predict ?? (standard === undefined ? "/predict" : `${standard}:predict`)),
  };
}

function route(variable: string, path: string): string {
  if (/^\/[\w./:@~-]*$/.test(path)) return path;
  throw new EspalierError("INVALID_CONFIG", `${variable} is no path: ${path}`, { at: variable });
}

/** Whether SageMaker asks for its multi-model routes. */
export function isMultiModel(environment: Environment): boolean {
  return given(environment, "SAGEMAKER_MULTI_MODEL")?.toLowerCase() === "true";
}
