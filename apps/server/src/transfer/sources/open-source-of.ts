import { stat } from "node:fs/promises";
import { EspalierError, type TrackedSource } from "@espalier/core";
import { loadMlflowParts } from "@espalier/host";
import { openMlruns } from "./mlruns-source.ts";
import { openSqlite } from "./sqlite-source.ts";
import { whatIsAStore } from "./what-is-a-store.ts";

export interface SourceOptions {
  /** http(s) address, `mlruns` folder, or file of an SQLite store (also as sqlite:///path). Paths are absolute. */
  source: string;
  /** Artifact root of an SQLite store. */
  artifacts?: string | undefined;
  credentials?: { token: string } | { username: string; password: string } | undefined;
  signal?: AbortSignal;
}

/** INVALID_INPUT: it is none of the three. */
export async function openTrackedSource({
  source,
  artifacts,
  credentials,
  signal,
}: SourceOptions): Promise<TrackedSource> {
  if (/^https?:/.test(source)) {
    const { connectMlflow, createMlflowReader } = await loadMlflowParts();
    const api = connectMlflow({
      uri: source,
      ...(credentials === undefined ? {} : { credentials: async () => credentials }),
    });
    return createMlflowReader(api, signal === undefined ? undefined : { signal });
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(source) && !/^(file|sqlite):/.test(source)) {
    throw new EspalierError(
      "UNSUPPORTED",
      `An import reads from an MLflow server, a folder or an SQLite file, not from ${source.split(":")[0]}:`,
      {
        hint: "Start `mlflow server` over that store, and give its address.",
      },
    );
  }
  const path = source.replace(/^sqlite:\/{3}/, "").replace(/^file:(\/\/)?/, "");
  const found = await stat(path).catch((cause: unknown) => {
    throw new EspalierError("INVALID_INPUT", `There is no ${path}`, { cause, hint: whatIsAStore });
  });
  return found.isDirectory() ? openMlruns(path) : openSqlite(path, artifacts);
}
