import { EspalierError } from "@espalier/core";
import { type EndpointConfig, loadProject } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { DeclarationRow } from "../db/queries/declarations.ts";

export interface FoundDeclaration {
  name: string;
  config: EndpointConfig;
  /** `espalier.yaml:line:column` */
  at: string;
}

/**
 * What espalier.yaml declares at this moment: a control plane runs for weeks, and the file changes meanwhile. INVALID_CONFIG names every
 * fault with its place.
 */
export async function readDeclarations({ project }: Pick<ControlPlane, "project">): Promise<FoundDeclaration[]> {
  const { config, locate } = await loadProject(project.directory);
  return Object.entries(config.endpoints ?? {}).map(([name, endpoint]) => ({
    name,
    config: endpoint,
    at: locate(["endpoints", name, ...(endpoint.model === undefined ? [] : ["model"])]),
  }));
}

/** false: settings of an endpoint that a `deploy` step makes, which is not this file's to stop. */
export function declaresModel({ declaration }: Pick<DeclarationRow, "declaration">): boolean {
  return (declaration as EndpointConfig).model !== undefined;
}

/** Those of the names, in their order; all when none is named. NOT_FOUND. */
export function named(declared: readonly FoundDeclaration[], names: readonly string[] | undefined): FoundDeclaration[] {
  if (names === undefined || names.length === 0) return [...declared];
  return names.map((name) => {
    const found = declared.find((one) => one.name === name);
    if (found !== undefined) return found;
    throw new EspalierError("NOT_FOUND", `espalier.yaml declares no endpoint ${name}`, {
      at: "espalier.yaml",
      hint:
        declared.length === 0
          ? "Declare it under `endpoints:`."
          : `It declares ${declared.map((one) => one.name).join(", ")}.`,
    });
  });
}
