import { readdir, readFile } from "node:fs/promises";
import { type Advice, advise, type ComponentName, type Outcome, type WholeAdvice } from "@espalier/core";
import { readAnswers, toolManifests } from "@espalier/host";
import { describe, expect, it } from "vitest";

const folder = new URL("../../../../docs/choosing/", import.meta.url);
const today = "2026-11-27";

interface Case {
  outcome: Outcome;
  /** What is chosen where it matters, by component. */
  chosen: Readonly<Record<string, string>>;
  /** Words of a reason, an exclusion or a flip that the choice rests on. */
  because: Readonly<Record<string, RegExp>>;
}

const cases: Readonly<Record<string, Case>> = {
  "two-person-startup": {
    outcome: "none yet",
    chosen: { artifacts: "filesystem", compute: "process", deploy: "process", tracking: "none yet" },
    because: {
      compute: /kubernetes costs at least 150 \$ a month of 100/,
      artifacts: /If the data were 800 GB, it would be s3/,
    },
  },
  "bank-on-premises": {
    outcome: "stack",
    chosen: { artifacts: "s3", compute: "kubernetes", deploy: "none yet" },
    because: {
      artifacts: /3000 GB do not fit on the 500 GB of filesystem's disk/,
      compute: /Carla and Dmitri could repair it alone at night/,
    },
  },
  "research-slurm": {
    outcome: "keep",
    chosen: { compute: "slurm", artifacts: "filesystem" },
    because: { compute: /process has the 0 GPUs of this machine, and 8 are needed/ },
  },
  "aws-certified": {
    outcome: "keep",
    chosen: { artifacts: "s3", compute: "process" },
    because: { artifacts: /you are content with s3/, compute: /ray is open-source, and only aws may be used/ },
  },
  "factory-without-network": {
    outcome: "none yet",
    chosen: { artifacts: "filesystem", deploy: "process" },
    because: { compute: /3 training hours a run are well within/ },
  },
  "content-with-its-console": {
    outcome: "console",
    chosen: { artifacts: "vertex-ai", compute: "vertex-ai", deploy: "vertex-ai" },
    because: { compute: /process means leaving vertex-ai, which you are content with/ },
  },
  "mlflow-and-airflow": {
    outcome: "keep",
    chosen: { orchestration: "airflow", tracking: "mlflow", registry: "mlflow", compute: "process" },
    because: { orchestration: /If airflow no longer did what you need, it would be built in/ },
  },
  "searches-on-ray": {
    outcome: "stack",
    chosen: { compute: "ray", artifacts: "filesystem" },
    because: { compute: /720 training hours a month are beyond the 300|60 training hours a run are beyond the 12/ },
  },
  hospital: {
    outcome: "keep",
    chosen: { validator: "a script of your own", tracking: "mlflow", compute: "process" },
    because: { validator: /your own need, checks of DICOM headers, is met by a script of your own/ },
  },
  "five-terabytes": {
    outcome: "stack",
    chosen: { artifacts: "s3", compute: "process" },
    because: { artifacts: /5000 GB do not fit on the 500 GB/ },
  },
  consultants: {
    outcome: "none yet",
    chosen: { artifacts: "filesystem", compute: "process" },
    because: { artifacts: /s3 costs at least 20 \$ a month of 0/ },
  },
  "slow-approvals": {
    outcome: "none yet",
    chosen: { compute: "process" },
    because: { compute: /If nobody had to approve a new service, it would be kubernetes/ },
  },
};

async function adviceFor(name: string): Promise<WholeAdvice> {
  const answers = await readAnswers(new URL(`${name}.yaml`, folder).pathname);
  return advise({ tools: toolManifests.map(({ manifest }) => manifest), answers, today });
}

const at = (whole: WholeAdvice, component: string): Advice => {
  const found = whole.advice.find(({ place }) => place.component === (component as ComponentName));
  if (found === undefined) throw new Error(`no advice on ${component}`);
  return found;
};

function said({ ranking, flip }: Advice): string {
  return [
    ...ranking.ranked.flatMap(({ reasons }) => reasons.map(({ because }) => because)),
    ...ranking.excluded.flatMap(({ exclusions }) => exclusions.map(({ because }) => because)),
    flip?.sentence ?? "",
  ].join("\n");
}

describe("worked cases of docs/choosing.md", () => {
  it("are all tested, and all told", async () => {
    const files = (await readdir(folder)).map((file) => file.replace(/\.yaml$/, "")).sort();
    expect(files).toEqual(Object.keys(cases).sort());
    const outcomes = Object.values(cases).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === "keep").length).toBeGreaterThanOrEqual(3);
    expect(outcomes.filter((outcome) => outcome === "none yet").length).toBeGreaterThanOrEqual(2);
  });

  for (const [name, { outcome, chosen, because }] of Object.entries(cases)) {
    it(`${name}: ${outcome}`, async () => {
      const whole = await adviceFor(name);
      expect(whole.outcome).toBe(outcome);
      const picked = Object.keys(chosen).map((component) => [component, at(whole, component).choice.candidate.name]);
      expect(Object.fromEntries(picked)).toEqual(chosen);
      for (const [component, words] of Object.entries(because)) expect(said(at(whole, component))).toMatch(words);
      const guide = await readFile(new URL("../choosing.md", folder), "utf8");
      expect(guide).toContain(whole.sentence);
      expect(guide).toContain(`choosing/${name}.yaml`);
    });
  }
});
