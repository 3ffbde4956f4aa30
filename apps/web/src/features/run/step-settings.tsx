import type { CallOutput } from "@espalier/contract";
import { Facts, Section } from "../../ui/facts.tsx";
import { bytes, duration } from "../../ui/words.ts";

/** A step as its pipeline writes it. */
export type StepSettingsOf = CallOutput<"runs.pipeline">["ir"]["steps"][string];

/** Command, environment, resources: what the step was told, as it stood when the run began. */
export function StepSettings({ settings }: { settings: StepSettingsOf }) {
  const { run, uses, environment, resources, retry, tune, map } = settings;
  return (
    <Section title="What it was told">
      {run !== undefined && (
        <pre className="mb-3 max-h-60 overflow-auto rounded-lg bg-sunken p-3 font-mono text-[12.5px] whitespace-pre-wrap wrap-anywhere">
          {run.trimEnd()}
        </pre>
      )}
      <Facts
        of={[
          ["Built-in", uses],
          ["Runs inside", settings.source],
          ["Environment", environment === undefined ? undefined : environmentWords(environment)],
          ["Compute", settings.compute],
          ["Resources", resources === undefined ? undefined : resourceWords(resources)],
          ["Nodes", settings.nodes],
          ["Tries", retry?.attempts],
          ["Time limit", settings.timeoutSeconds === undefined ? undefined : duration(settings.timeoutSeconds * 1000)],
          ["Only when", settings.when],
          ["For each of", map?.over],
          ["Searches", tune === undefined ? undefined : searchWords(tune)],
          ["Secrets", settings.secrets?.join(", ")],
          ["Cache", settings.cache === false ? "off: it runs every time" : undefined],
          ["Gate", settings.gate === "none" ? "none: the model was knowingly not judged" : undefined],
          [
            "Settings",
            settings.with === undefined ? undefined : <code key="with">{JSON.stringify(settings.with)}</code>,
          ],
        ]}
      />
    </Section>
  );
}

function environmentWords(environment: NonNullable<StepSettingsOf["environment"]>): string {
  if ("image" in environment) return `image ${environment.image}`;
  if ("dockerfile" in environment) return `image of ${environment.dockerfile}`;
  const version = environment.pythonVersion === undefined ? "" : ` on Python ${environment.pythonVersion}`;
  return `packages of ${environment.python}${version}`;
}

function resourceWords({ cpu, memoryBytes, gpu }: NonNullable<StepSettingsOf["resources"]>): string {
  return [
    cpu === undefined ? undefined : `${cpu} CPU`,
    memoryBytes === undefined ? undefined : `${bytes(memoryBytes)} memory`,
    gpu === undefined ? undefined : `${gpu.count} GPU${gpu.type === undefined ? "" : ` (${gpu.type})`}`,
  ]
    .filter((word) => word !== undefined)
    .join(", ");
}

function searchWords({ method, search, objective }: NonNullable<StepSettingsOf["tune"]>): string {
  return `${Object.keys(search).join(", ")} by ${method}, to ${objective.direction} ${objective.metric}`;
}
