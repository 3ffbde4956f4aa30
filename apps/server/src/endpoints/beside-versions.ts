import type { EndpointConfig } from "@espalier/host";
import type { ModelVersionRow } from "../db/queries/models.ts";
import type { ProjectRecord } from "../db/record.ts";
import { resolveModel } from "./resolve-model.ts";

/**
 * The versions that rules and the shadow of a declaration name, by reference. One whose alias is not set yet is waited for: the endpoint
 * serves without it meanwhile.
 */
export async function lookBeside(
  record: Pick<ProjectRecord, "models">,
  { traffic }: EndpointConfig,
  at: string,
): Promise<{ found: Map<string, ModelVersionRow>; missing: string[] }> {
  const named = [...(traffic?.rules ?? []), ...(traffic?.shadow === undefined ? [] : [traffic.shadow])];
  const found = new Map<string, ModelVersionRow>();
  const missing: string[] = [];
  for (const reference of new Set(named.map((one) => one.model))) {
    const { version, ...rest } = await resolveModel(record, reference, at);
    if (version !== undefined) found.set(reference, version);
    else if ("error" in rest) missing.push(rest.error.message);
  }
  return { found, missing };
}
