import type { EndpointSpec, ServedVersion } from "@espalier/core";
import type { EndpointConfig } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { servedVersion } from "../deployments/serve.ts";
import { requireContent } from "../models/version-content.ts";
import { lookBeside } from "./beside-versions.ts";
import { besideVersions, endpointSettings, runtimeOf } from "./endpoint-settings.ts";
import type { WantedSettings } from "./field-changes.ts";

/**
 * What an endpoint is told beside its version, whoever deploys it: as it was last applied, else as espalier.yaml said when the control plane
 * started, else as it was before. The folders of versions beside the main one lie ready.
 */
export async function declaredSettings(
  plane: ControlPlane,
  name: string,
  before: EndpointSpec | undefined,
): Promise<WantedSettings & { beside: ServedVersion[] }> {
  const applied = (await plane.record.declarations.get(name))?.declaration as EndpointConfig | undefined;
  const config = applied ?? plane.project.config.endpoints?.[name] ?? {};
  const { found } = await lookBeside(plane.record, config, `endpoints.${name}`);
  const runtime = runtimeFor(config, before);
  const beside = new Map(
    await Promise.all(
      [...found].map(async ([reference, version]): Promise<[string, Omit<ServedVersion, "weight">]> => {
        const held = await requireContent(plane, version);
        const served = await servedVersion(plane, held, { isServedByUs: runtime === undefined });
        return [reference, { ...served, ...(runtime === undefined ? {} : { runtime }) }];
      }),
    ),
  );
  return { settings: endpointSettings(config, before, beside), beside: besideVersions(config, beside), runtime };
}

/** undefined: the built-in server. An endpoint that names neither model nor program keeps the one it has. */
export function runtimeFor(config: EndpointConfig, before: EndpointSpec | undefined): ServedVersion["runtime"] {
  if (config.runtime === undefined && config.model === undefined) return mainOf(before)?.runtime;
  return runtimeOf(config);
}

/** The version with the most traffic. */
export function mainOf(spec: EndpointSpec | undefined): ServedVersion | undefined {
  return spec?.versions.reduce((best, one) => (one.weight > best.weight ? one : best));
}
