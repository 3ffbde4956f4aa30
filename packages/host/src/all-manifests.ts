import type { ToolManifest } from "@espalier/core";
import { z } from "zod";
import { catalog } from "./catalog.ts";

/** A manifest with the settings that a stack file must give, as `advise` writes one. */
export interface DescribedTool {
  manifest: ToolManifest;
  settings: string[];
}

/** Of every tool that comes with Espalier, in the catalog's order. Loads all of them; `tool-manifests.json` has the same without. */
export async function describeTools(): Promise<DescribedTool[]> {
  const described: DescribedTool[] = [];
  for (const tools of Object.values(catalog)) {
    for (const load of Object.values(tools)) {
      const { manifest, config } = await load();
      const schema = z.toJSONSchema(config, { io: "input", unrepresentable: "any" });
      described.push({ manifest, settings: schema.required ?? [] });
    }
  }
  return described;
}
