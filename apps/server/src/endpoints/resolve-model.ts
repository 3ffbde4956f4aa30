import { didYouMean, EspalierError, parseReference } from "@espalier/core";
import type { ModelVersionRow } from "../db/queries/models.ts";
import type { ProjectRecord } from "../db/record.ts";

export type ResolvedModel =
  | { version: ModelVersionRow }
  /** `waits`: the model is there, and its alias is not set yet. Otherwise what is named does not exist. */
  | { version?: never; waits: boolean; error: EspalierError };

/** The version that `models:/name@alias` or `models:/name/3` means now. `models:/` may be left out, and `@latest` is the highest number. */
export async function resolveModel(
  record: Pick<ProjectRecord, "models">,
  reference: string,
  at: string,
): Promise<ResolvedModel> {
  const parsed = parseReference(reference.startsWith("models:/") ? reference : `models:/${reference}`);
  if (parsed.kind !== "model") throw new EspalierError("INVALID_CONFIG", `\`${reference}\` is no model`, { at });
  const wanted = "version" in parsed ? Number(parsed.version) : parsed.alias === "latest" ? "latest" : aliasOf(parsed);
  const version = await record.models.version(parsed.name, wanted);
  if (version !== undefined) return { version };
  if ((await record.models.get(parsed.name)) === undefined) {
    const names = (await record.models.list({ limit: 1000 })).items.map((model) => model.name);
    const hint =
      names.length === 0
        ? "The registry is empty: a pipeline's `register` step fills it."
        : didYouMean(parsed.name, names, "models");
    return { waits: false, error: new EspalierError("NOT_FOUND", `There is no model ${parsed.name}`, { at, hint }) };
  }
  if (typeof wanted === "number") {
    const hint = `\`espalier model show ${parsed.name}\` lists versions and aliases.`;
    const message = `There is no version ${wanted} of the model ${parsed.name}`;
    return { waits: false, error: new EspalierError("NOT_FOUND", message, { at, hint }) };
  }
  const alias = wanted.replace(/^@/, "");
  const message = `${parsed.name} has no ${wanted === "latest" ? "version" : `alias ${alias}`} yet`;
  const hint =
    wanted === "latest"
      ? "It is served once there is one."
      : `It is served once \`espalier model promote ${parsed.name}@<version> ${alias}\`, or a pipeline, sets it.`;
  return { waits: true, error: new EspalierError("NOT_FOUND", message, { at, hint }) };
}

const aliasOf = ({ alias }: { alias: string }): `@${string}` => `@${alias}`;
