import type { WholeAdvice } from "@espalier/core";
import { stringify } from "yaml";
import { toolManifests } from "../tool-manifests.ts";

/** The stack that the advice comes to, as it stands under `stacks:`. What only the team knows is left as `<name>`, and `plan` asks for it. */
export function stackText(name: string, whole: WholeAdvice): string {
  const stack: Record<string, unknown> = {};
  for (const { place, choice } of whole.advice) {
    const { candidate } = choice;
    if (candidate.kind !== "tool" || candidate.provider === "embedded") continue;
    const settings = toolManifests.find(
      ({ manifest }) => manifest.component === place.component && manifest.tool === candidate.name,
    )?.settings;
    const using = {
      uses: candidate.name,
      ...(settings === undefined || settings.length === 0
        ? {}
        : { with: Object.fromEntries(settings.map((setting) => [setting, `<${setting}>`])) }),
    };
    stack[place.component] = place.component === "compute" ? { default: using } : using;
  }
  return stringify({ stacks: { [name]: stack } }, { lineWidth: 0 });
}
