import type { TrackedRegisteredModel, TrackedVersion } from "@espalier/core";
import { metaOf, texts } from "./mlruns-files.ts";
import { registeredMeta, versionMeta } from "./mlruns-shapes.ts";

import type { StoreFolder } from "./store-folder.ts";

/** The file store's registry: `models/<name>/version-<n>`. */
export function readRegistry(folder: StoreFolder): {
  models(): AsyncGenerator<TrackedRegisteredModel>;
  versions(name: string): AsyncGenerator<TrackedVersion>;
} {
  return {
    async *models() {
      for (const place of await folder.folders("models")) {
        const meta = await metaOf(folder, `models/${place}/meta.yaml`, registeredMeta);
        const aliases = await texts(folder, `models/${place}/aliases`);
        yield {
          name: meta.name,
          ...(meta.description === "" ? {} : { description: meta.description }),
          tags: await texts(folder, `models/${place}/tags`),
          aliases: Object.fromEntries(Object.entries(aliases).map(([alias, version]) => [alias, Number(version)])),
          createdAt: meta.creation_timestamp,
          updatedAt: meta.last_updated_timestamp,
        };
      }
    },
    async *versions(name) {
      for (const place of await folder.folders(`models/${name}`)) {
        if (!/^version-\d+$/.test(place)) continue;
        const meta = await metaOf(folder, `models/${name}/${place}/meta.yaml`, versionMeta);
        if (meta.current_stage === "Deleted_Internal") continue;
        const source = meta.storage_location || meta.source;
        const modelId = meta.model_id || /^models:\/(m-[\w-]+)/.exec(meta.source)?.[1] || "";
        yield {
          name: meta.name,
          version: meta.version,
          source,
          ...(meta.run_id === "" ? {} : { runId: meta.run_id }),
          ...(modelId === "" ? {} : { modelId }),
          ...(meta.run_link === "" ? {} : { runLink: meta.run_link }),
          stage: meta.current_stage,
          status: meta.status,
          ...(meta.status_message === "" ? {} : { statusMessage: meta.status_message }),
          ...(meta.description === "" ? {} : { description: meta.description }),
          user: meta.user_id,
          tags: await texts(folder, `models/${name}/${place}/tags`),
          createdAt: meta.creation_timestamp,
          updatedAt: meta.last_updated_timestamp,
        };
      }
    },
  };
}
