import type { RegistryMirror } from "@espalier/core";
import { createMlrunsFiles } from "./mlruns-files.ts";

/** Registered models as MLflow's file store; the numbers of versions are ours. Contents that no run holds lie in `<root>/models/<name>/version-<n>/content`. */
export function createMlrunsRegistry(
  folder: string,
  root: string,
  placeOf: (id: string) => Promise<string>,
): RegistryMirror {
  const files = createMlrunsFiles(folder);
  return {
    check: async () => ({ version: "file store" }),

    async putModel({ name, description = "", tags, createdAt, updatedAt }) {
      const place = `models/${name}`;
      await files.meta(place, {
        creation_timestamp: createdAt,
        description,
        last_updated_timestamp: updatedAt,
        latest_versions: [],
        name,
      });
      await files.remove(`${place}/tags`);
      for (const [key, value] of Object.entries(tags)) await files.text(`${place}/tags`, key, value);
    },

    async putVersion(version, contentOf) {
      const place = `models/${version.name}/version-${version.version}`;
      const content = await contentOf();
      let source: string;
      if ("home" in content) {
        const home = await placeOf(content.home.id);
        source = [root, home, "artifacts", content.path].filter((part) => part !== "").join("/");
      } else {
        source = `${root}/${place}/content`;
        for await (const file of content.files) await files.file(`${place}/content`, file);
      }
      for (const [key, value] of Object.entries(version.tags)) await files.text(`${place}/tags`, key, value);
      // Last: a version without it is none.
      await files.meta(place, {
        aliases: [],
        creation_timestamp: version.createdAt,
        current_stage: version.stage,
        description: version.description ?? "",
        last_updated_timestamp: version.updatedAt,
        name: version.name,
        run_id: version.runId ?? "",
        run_link: version.runLink ?? "",
        source,
        status: version.status,
        status_message: version.statusMessage ?? "",
        storage_location: source,
        user_id: version.user,
        version: version.version,
      });
      return String(version.version);
    },

    async setAliases(name, aliases) {
      await files.remove(`models/${name}/aliases`);
      for (const [alias, version] of Object.entries(aliases))
        await files.text(`models/${name}/aliases`, alias, version);
    },

    remove: (name, version) =>
      files.remove(version === undefined ? `models/${name}` : `models/${name}/version-${version}`),
  };
}
