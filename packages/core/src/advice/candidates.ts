import type { ComponentName, Provider, ToolManifest } from "../manifest.ts";
import type { Answers, Running } from "./answers.ts";
import type { Ownership } from "./ownership.ts";

/** A component that is asked about. Gates (7) are the trunk's and the same everywhere. */
export interface Place {
  component: ComponentName | "orchestration";
  milestone: number;
  title: string;
  /** The trunk does it on every stack; the only question is whether something that runs already goes on doing it. */
  isTrunk?: boolean;
  /** Without it nothing runs, so that "none yet" is no answer. */
  isAlwaysNeeded: boolean;
}

export const places: readonly Place[] = [
  { component: "secrets", milestone: 0, title: "secrets", isAlwaysNeeded: true },
  { component: "artifacts", milestone: 1, title: "version data", isAlwaysNeeded: true },
  { component: "validator", milestone: 2, title: "validate data", isAlwaysNeeded: true },
  { component: "features", milestone: 3, title: "build features", isAlwaysNeeded: true, isTrunk: true },
  { component: "orchestration", milestone: 4, title: "orchestrate", isAlwaysNeeded: true, isTrunk: true },
  { component: "compute", milestone: 5, title: "train and tune", isAlwaysNeeded: true },
  { component: "tracking", milestone: 6, title: "track experiments", isAlwaysNeeded: false },
  { component: "registry", milestone: 8, title: "register models", isAlwaysNeeded: false },
  { component: "packages", milestone: 9, title: "package", isAlwaysNeeded: false },
  { component: "delivery", milestone: 10, title: "deliver", isAlwaysNeeded: true, isTrunk: true },
  { component: "deploy", milestone: 11, title: "deploy and serve", isAlwaysNeeded: false },
  { component: "metrics", milestone: 12, title: "monitor", isAlwaysNeeded: false },
  { component: "scheduler", milestone: 13, title: "retrain", isAlwaysNeeded: false },
];

/** What could stand behind a component: a tool of ours, what the team has, a script of its own, or nothing yet. */
export interface Candidate {
  kind: "tool" | "keep" | "own" | "none";
  name: string;
  provider?: Provider | undefined;
  skills: readonly string[];
  /** Absent: its manifest does not say, and then it is ranked as if it were dear. */
  ownership?: Ownership | undefined;
  verified?: ToolManifest["verified"] | undefined;
  running?: Running | undefined;
}

const unowned: Ownership = {
  place: "this machine",
  setUpHours: [0, 0],
  hoursAMonth: [0, 0],
  dollarsAMonth: [0, 0],
  lockIn: 0,
  wayOut: "nothing to leave",
  source: "nothing is added",
  asOf: "2026-11-27",
};

/** Whether there is work for the component at all, and the answer that says so. */
export function needOf({ component, isAlwaysNeeded }: Place, { work, running, bounds }: Answers) {
  const has = (milestone: number) => running.some((one) => one.milestone === milestone);
  if (isAlwaysNeeded) return { isNeeded: true, at: "", because: "" };
  switch (component) {
    case "tracking":
      return need(has(6), "running", "no tracking server is in use, and the built-in record speaks MLflow's protocol");
    case "registry":
      return need(has(8), "running", "no model registry is in use, and the built-in one speaks MLflow's protocol");
    case "packages":
      return need(
        work.serving === "online" && bounds.providers?.includes("embedded") !== true,
        "work.serving",
        `serving is "${work.serving}": no image has to be carried anywhere`,
      );
    case "scheduler":
      return need(work.retraining === "scheduled", "work.retraining", `retraining is "${work.retraining}"`);
    default:
      return need(
        work.serving === "online",
        "work.serving",
        `serving is "${work.serving}": no endpoint has to stay up`,
      );
  }
}

function need(isNeeded: boolean, at: string, because: string) {
  return { isNeeded, at, because: isNeeded ? "" : because };
}

/** In the order of the catalog, so that equals are told in an order that never changes. */
export function candidatesFor(place: Place, tools: readonly ToolManifest[], answers: Answers): Candidate[] {
  const running = answers.running.filter(({ milestone }) => milestone === place.milestone);
  const ours = tools.filter(({ component }) => component === place.component);
  const found: Candidate[] = ours.map((tool) => {
    const inUse = running.find((one) => one.tool === tool.tool);
    return {
      kind: "tool",
      name: tool.tool,
      // S3 with AWS is AWS: where it runs with the team, the team says whose it is.
      provider: inUse?.provider ?? tool.provider,
      skills: tool.skills,
      ownership: inUse === undefined || tool.ownership === undefined ? tool.ownership : asOwned(tool.ownership, inUse),
      verified: tool.verified,
      running: inUse,
    };
  });
  if (place.isTrunk === true)
    found.push({ kind: "tool", name: "built in", provider: "embedded", skills: [], ownership: unowned });
  for (const one of running) {
    if (ours.some(({ tool }) => tool === one.tool)) continue;
    found.push({
      kind: "keep",
      name: one.tool,
      provider: one.provider,
      skills: [],
      ownership: owned(one),
      running: one,
    });
  }
  if (answers.niche.some(({ milestone }) => milestone === place.milestone)) {
    found.push({
      kind: "own",
      name: "a script of your own",
      provider: "custom",
      skills: ["python"],
      ownership: script,
    });
  }
  return found;
}

/** What a team runs costs what the team says, not what a manifest guesses. */
function asOwned(ownership: Ownership, { hours_a_month, dollars_a_month }: Running): Ownership {
  return {
    ...ownership,
    setUpHours: [0, 0],
    hoursAMonth: [hours_a_month, hours_a_month],
    dollarsAMonth: [dollars_a_month, dollars_a_month],
  };
}

/** A tool that we know nothing of. */
function owned({ hours_a_month, dollars_a_month, provider, console: isConsole }: Running): Ownership {
  return {
    ...unowned,
    place: isConsole || ["aws", "google", "azure"].includes(provider ?? "") ? "cloud" : "own servers",
    hoursAMonth: [hours_a_month, hours_a_month],
    dollarsAMonth: [dollars_a_month, dollars_a_month],
    lockIn: isConsole ? 2 : 1,
    wayOut: "stay, or move later with the same pipeline",
    source: "what the team says of itself",
  };
}

const script: Ownership = {
  ...unowned,
  setUpHours: [8, 40],
  hoursAMonth: [1, 4],
  wayOut: "it is yours: a `run:` step in any language",
  source: "estimate of this project, 2026-11",
};

export const none: Candidate = { kind: "none", name: "none yet", skills: [], ownership: unowned };
