import type { RunDetail, RunStep } from "@espalier/contract";
import { Link } from "@tanstack/react-router";
import { Digest } from "../../ui/digest.tsx";
import { Section } from "../../ui/facts.tsx";
import { bytes } from "../../ui/words.ts";
import type { StepSettingsOf } from "./step-settings.tsx";

type Output = NonNullable<RunStep["outputs"]>[string];

/** Inputs by where they come from, and outputs: type, size and digest of each. */
export function StepData({
  step,
  settings,
  steps,
}: {
  step: RunStep;
  settings: StepSettingsOf | undefined;
  steps: RunDetail["steps"];
}) {
  const inputs = Object.entries(settings?.inputs ?? {});
  const outputs = Object.entries(step.outputs ?? {});
  return (
    <>
      {inputs.length > 0 && (
        <Section title="Inputs">
          <ul className="space-y-1.5 text-sm">
            {inputs.map(([name, reference]) => {
              const source = sourceOf(reference, steps);
              return (
                <li key={name} className="flex flex-wrap items-center gap-x-3 gap-y-1">
                  <span className="font-medium">{name}</span>
                  {source === undefined ? (
                    <code className="font-mono text-[12.5px] text-muted wrap-anywhere">{reference}</code>
                  ) : (
                    <Link
                      to="."
                      search={{ step: source.step }}
                      resetScroll={false}
                      className="font-mono text-[12.5px] text-leaf underline underline-offset-2"
                    >
                      {reference}
                    </Link>
                  )}
                  {source?.output !== undefined && <Artifact of={source.output} />}
                </li>
              );
            })}
          </ul>
        </Section>
      )}
      {outputs.length > 0 && (
        <Section title="Outputs">
          <ul className="space-y-1.5 text-sm">
            {outputs.map(([name, output]) => (
              <li key={name} className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <span className="font-medium">{name}</span>
                <Artifact of={output} />
                {output.type !== "tree" && output.type !== "model" && (
                  <a
                    href={`/api/v1/artifacts/${output.digest}/content?type=${output.type}`}
                    download={`${step.step}-${name}`}
                    className="text-[13px] text-leaf underline underline-offset-2"
                  >
                    download
                  </a>
                )}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function Artifact({ of: { type, size, digest } }: { of: Output }) {
  return (
    <>
      <span className="text-muted">
        {type} · {bytes(size)}
      </span>
      <Digest digest={digest} />
    </>
  );
}

/** `step.output` names an output of this run; every other form of reference stands for itself. */
function sourceOf(
  reference: string,
  steps: RunDetail["steps"],
): { step: string; output: Output | undefined } | undefined {
  const [, step, output] = /^([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)$/.exec(reference) ?? [];
  if (step === undefined || output === undefined) return undefined;
  return { step, output: steps.find((one) => one.step === step && one.branch === -1)?.outputs?.[output] };
}
