import type { ParameterValue, PipelineIr } from "@espalier/core";

/** Text is what a command line and a form give: it becomes the type of the default where it reads as one. Checks come later. */
export function convertParameters(
  { params }: PipelineIr,
  given: Readonly<Record<string, ParameterValue>>,
): Record<string, ParameterValue> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, convert(value, params?.[name])]));
}

function convert(value: ParameterValue, standard: ParameterValue | undefined): ParameterValue {
  if (typeof standard === "string") return String(value);
  if (typeof value !== "string") return value;
  if (typeof standard === "number" && value.trim() !== "" && Number.isFinite(Number(value))) return Number(value);
  if (typeof standard === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}
