import { mlflowError } from "../mlflow-error.ts";
import { artifactPath } from "./paths.ts";

const root = "mlflow-artifacts:/";

/** The folder of the artifact proxy that a URI of the record names; what lies elsewhere (an import from other stores) is not ours to serve. */
export function folderOfLocation(uri: string): string {
  if (!uri.startsWith(root)) {
    throw mlflowError("INVALID_PARAMETER_VALUE", `The files lie at ${uri}, which this server does not serve`);
  }
  return artifactPath(uri.slice(root.length));
}

export function missingLoggedModel(id: string): never {
  throw mlflowError("RESOURCE_DOES_NOT_EXIST", `Logged model with ID '${id}' not found.`);
}
