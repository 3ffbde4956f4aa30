import type { ControlPlane } from "../../control-plane.ts";
import type { RegistryVersion } from "../../db/queries/registry/registry-rows.ts";
import { adoptFolder } from "../../models/version-content.ts";
import { optionalText, requiredText } from "../fields.ts";
import { invalidParameter, requireLength, requireNoNul } from "../limits.ts";
import type { MlflowCall } from "../mlflow-route.ts";
import { descriptionOf, gateTags, isPromptRequest, modelName, tagsOf } from "./registry-fields.ts";
import { type ResolvedSource, resolveSource } from "./resolve-source.ts";

const mostSourceCharacters = 2048;
const mostLinkCharacters = 500;

/** What clients send as the source of a prompt, whose text is a tag. */
const promptSources = ["dummy-source", "prompt-template"];

export async function createVersion(
  plane: ControlPlane,
  { fields, principal, scope }: Pick<MlflowCall, "fields" | "principal" | "scope">,
): Promise<RegistryVersion> {
  const name = modelName(fields);
  const source = requiredText(fields, "source");
  requireLength("source", mostSourceCharacters, source);
  requireNoNul("source", source);
  const [runId, modelId, runLink] = ["run_id", "model_id", "run_link"].map((member) => {
    const text = optionalText(fields, member) ?? "";
    requireLength(member, mostLinkCharacters, text);
    requireNoNul(member, text);
    return text === "" ? undefined : text;
  });
  const tags = tagsOf(fields);
  // A copy of a version comes with its tags: what a gate said is known here, and follows the content.
  for (const key of gateTags) delete tags[key];
  const description = descriptionOf(fields) ?? "";
  // Before anything is read for it: MLflow's server, too, tells a missing model first.
  await plane.record.registry.models.get(name);
  const resolved = isPromptRequest(tags)
    ? promptSource(source)
    : await resolveSource(plane, scope, {
        source,
        ...(runId === undefined ? {} : { runId }),
        ...(modelId === undefined ? {} : { modelId }),
      });
  const artifact =
    resolved.artifact ?? (resolved.location === undefined ? undefined : await adoptFolder(plane, resolved.location));
  return plane.record.registry.versions.create({
    ...resolved,
    name,
    artifact,
    runLink,
    description,
    tags,
    createdBy: principal.actor,
  });
}

function promptSource(source: string): ResolvedSource {
  if (promptSources.includes(source)) return { source };
  return invalidParameter(`Invalid prompt source: '${source.slice(0, 500)}'. A prompt's text is a tag of its version.`);
}
