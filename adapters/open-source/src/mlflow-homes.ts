import { type CallContext, EspalierError, type RemoteHome, type TrackedFile } from "@espalier/core";
import { z } from "zod";
import type { MlflowApi } from "./mlflow-client.ts";

const runAnswer = z.object({ run: z.object({ info: z.object({ artifact_uri: z.string().optional() }) }) });
const modelAnswer = z.object({ model: z.object({ info: z.object({ artifact_uri: z.string().optional() }) }) });

export interface MlflowHomes {
  /** Where the server keeps the files of a run or a logged model. */
  uri(home: RemoteHome, context?: CallContext): Promise<string>;
  put(home: RemoteHome, file: TrackedFile, context?: CallContext): Promise<void>;
}

const mostRemembered = 10_000;

export function mlflowHomes(api: MlflowApi): MlflowHomes {
  const known = new Map<string, string>();

  async function uri(home: RemoteHome, context?: CallContext): Promise<string> {
    const key = `${home.kind}:${home.id}`;
    const found = known.get(key) ?? (await ask(home, context));
    if (known.size > mostRemembered) known.clear();
    known.set(key, found);
    return found;
  }

  async function ask({ kind, id }: RemoteHome, context?: CallContext): Promise<string> {
    if (kind === "run") {
      const answer = runAnswer.parse(await api.get("mlflow/runs/get", { run_id: id }, context));
      return answer.run.info.artifact_uri ?? "";
    }
    const path = `mlflow/logged-models/${encodeURIComponent(id)}`;
    return modelAnswer.parse(await api.get(path, {}, context)).model.info.artifact_uri ?? "";
  }

  return {
    uri,
    put: async (home, file, context) => {
      const folder = proxyPath(await uri(home, context));
      await api.upload(`${folder}/${file.path}`, file.open, file.size, context);
    },
  };
}

/** Path behind the proxy of an `mlflow-artifacts:` URI. UNSUPPORTED: the server leaves files to the client's own storage. */
export function proxyPath(uri: string): string {
  const found = /^mlflow-artifacts:(?:\/\/[^/]*)?\/*(.*)$/.exec(uri);
  if (found?.[1] !== undefined) return found[1].replace(/\/+$/, "");
  throw new EspalierError(
    "UNSUPPORTED",
    `The MLflow server keeps files at ${uri.split("?")[0]}, which only its own clients reach`,
    {
      hint: "Start it with `--serve-artifacts` (and `--artifacts-destination`), or set `artifacts: false`.",
    },
  );
}
