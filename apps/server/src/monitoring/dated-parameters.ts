import type { ParameterValue } from "@espalier/core";

/** Parameters of a run that a schedule or an alert starts: in a text, `${{ run.date }}` becomes the logical date as YYYY-MM-DD (UTC). */
export function datedParameters(
  params: Readonly<Record<string, ParameterValue>> | undefined,
  logicalDate: Date,
): Record<string, ParameterValue> {
  const day = logicalDate.toISOString().slice(0, 10);
  return Object.fromEntries(
    Object.entries(params ?? {}).map(([name, value]) => [
      name,
      typeof value === "string" ? value.replaceAll(/\$\{\{\s*run\.date\s*\}\}/g, day) : value,
    ]),
  );
}
