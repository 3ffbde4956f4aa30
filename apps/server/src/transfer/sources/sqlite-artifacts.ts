import { existsSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { EspalierError, type TrackedFile } from "@espalier/core";
import type { StoreFolder } from "./store-folder.ts";

/** Finds what an artifact URI of a store means below the folders that lie beside it; nothing outside of them is read. */
export function sqliteArtifacts(folders: readonly StoreFolder[]): {
  below(uri: string): AsyncGenerator<TrackedFile>;
  losses(): string[];
} {
  function find(uri: string): { folder: StoreFolder; path: string } | undefined {
    const proxied = /^mlflow-artifacts:(?:\/\/[^/]*)?\/*(.*)$/.exec(uri)?.[1];
    const local = proxied === undefined ? localPath(uri) : undefined;
    if (proxied === undefined && local === undefined) return undefined;
    for (const folder of folders) {
      if (local?.startsWith(folder.path + sep)) return { folder, path: local.slice(folder.path.length + 1) };
      // A store that was moved names its old place: what counts is the end, such as 1/<run>/artifacts.
      for (const path of proxied === undefined ? tails(local ?? "") : [proxied]) {
        if (existsSync(join(folder.path, path))) return { folder, path };
      }
    }
    return undefined;
  }

  return {
    async *below(uri) {
      const found = find(uri);
      if (found !== undefined) {
        yield* found.folder.tracked(found.path);
        return;
      }
      // Nothing was ever logged there, as far as anybody here can see.
      if (folders.length > 0 && (localPath(uri) !== undefined || uri.startsWith("mlflow-artifacts:"))) return;
      throw new EspalierError("UNSUPPORTED", `The files at ${uri.split("?")[0]} are out of reach`, {
        hint: "`--artifacts <folder>` names the store's artifact root; files in a bucket are imported from a running server.",
      });
    },
    losses: () =>
      folders.flatMap((folder) =>
        folder.refused.map((path) => `${join(folder.path, path)} is a link that leads out of the folder: not followed`),
      ),
  };
}

function localPath(uri: string): string | undefined {
  if (uri.startsWith("file:")) {
    try {
      return fileURLToPath(uri.startsWith("file:///") ? uri : uri.replace(/^file:\/*/, "file:///"));
    } catch {
      return undefined;
    }
  }
  return /^[a-z][a-z0-9+.-]*:/i.test(uri) ? undefined : uri;
}

/** The last two, three and four segments. */
function tails(path: string): string[] {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== "." && segment !== "..");
  return [4, 3, 2].filter((count) => segments.length >= count).map((count) => segments.slice(-count).join("/"));
}
