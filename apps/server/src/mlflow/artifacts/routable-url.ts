const artifactUrl =
  /^(\/(?:ajax-)?api\/2\.0\/mlflow-artifacts\/(?:artifacts|presigned|signed|mpu\/(?:create|complete|abort))\/)[^?#]*%[^?#]*/;

/**
 * The router decodes a URL's path by itself, and refuses escapes that are none; MLflow's clients send such names of files. It gets a path
 * without any: `pathOfUrl` alone reads what the client sent.
 */
export function routableUrl(url: string): string {
  return url.replace(artifactUrl, "$1file");
}
