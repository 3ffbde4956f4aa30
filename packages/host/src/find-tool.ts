import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  componentSchema,
  didYouMean,
  EspalierError,
  manifestSchema,
  type OpenableComponent,
  type Tool,
  toEspalierError,
} from "@espalier/core";
import { catalog } from "./catalog.ts";

const npmPrefix = "npm:";

/** The tool that `uses:` names. UNSUPPORTED (no such tool), NOT_INSTALLED (its package), INVALID_CONFIG (a package that is no tool). */
export async function findTool<Component extends OpenableComponent>(
  component: Component,
  uses: string,
  projectDirectory: string,
  at: string,
): Promise<Tool<Component, never>> {
  if (uses.startsWith(npmPrefix)) return foreignTool(component, uses.slice(npmPrefix.length), projectDirectory, at);
  const known = catalog[component];
  const load = Object.hasOwn(known, uses) ? known[uses] : undefined;
  if (load !== undefined) return load();
  throw new EspalierError("UNSUPPORTED", `There is no tool \`${uses}\` for ${component}`, {
    at,
    hint: `${didYouMean(uses, Object.keys(known), "tools")} One of your own is \`npm:<package>\`.`,
  });
}

async function foreignTool<Component extends OpenableComponent>(
  component: Component,
  name: string,
  projectDirectory: string,
  at: string,
): Promise<Tool<Component, never>> {
  const module = await importFrom(projectDirectory, name, at);
  const exported: unknown[] = Array.isArray(module["tools"]) ? module["tools"] : [module["tool"]];
  const tools = exported.filter(isTool);
  const fitting = tools.find((tool) => tool.manifest.component === component);
  if (fitting !== undefined) return fitting as unknown as Tool<Component, never>;
  const found = tools.map((tool) => `${tool.manifest.tool} (${tool.manifest.component})`).join(", ");
  throw new EspalierError("INVALID_CONFIG", `The package ${name} brings no tool for ${component}`, {
    at,
    hint: `It must export \`tools\`: a list of { manifest, config, create } with manifest.component \`${component}\`. ${
      found === "" ? "It exports none." : `It brings: ${found}.`
    }`,
  });
}

async function importFrom(projectDirectory: string, name: string, at: string): Promise<Record<string, unknown>> {
  let path: string;
  try {
    path = createRequire(join(projectDirectory, "package.json")).resolve(name);
  } catch (cause) {
    throw new EspalierError("NOT_INSTALLED", `The package ${name} is not installed beside the project`, {
      at,
      cause,
      hint: `npm install ${name}`,
    });
  }
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new EspalierError(
      "INVALID_CONFIG",
      `The package ${name} can not be loaded: ${toEspalierError(cause).message}`,
      { at, cause },
    );
  }
}

function isTool(value: unknown): value is Tool {
  if (typeof value !== "object" || value === null) return false;
  if (!("manifest" in value && "config" in value && "create" in value) || typeof value.create !== "function")
    return false;
  const manifest = manifestSchema.safeParse(value.manifest);
  return manifest.success && componentSchema.safeParse(manifest.data.component).success;
}
