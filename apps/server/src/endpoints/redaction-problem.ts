import { didYouMean, EspalierError } from "@espalier/core";
import type { EndpointConfig } from "@espalier/host";
import type { ModelVersionRow } from "../db/queries/models.ts";

/**
 * A field that is to be kept out of what is captured and that the model does not have: misspelt, the one that is meant would be written.
 * Models without a known signature are not judged.
 */
export function redactionProblem(
  { capture, runtime }: EndpointConfig,
  { name, version, signature }: ModelVersionRow,
  at: string,
): EspalierError | undefined {
  if (signature === undefined || runtime !== undefined) return undefined;
  const known = [...signature.inputs, ...signature.outputs].map((field) => field.name);
  const unknown = Object.keys(capture?.redact ?? {}).find((field) => !known.includes(field));
  if (unknown === undefined) return undefined;
  const message = `\`capture.redact\` names \`${unknown}\`, and ${name}@${version} has no such input or output`;
  return new EspalierError("INVALID_CONFIG", message, { at, hint: didYouMean(unknown, known, "fields") });
}
