import type { PipelineIr } from "../ir/pipeline.ts";

/** What a team's continuous integration does with one pipeline; each generator writes it in its vendor's form. */
export interface Delivery {
  pipeline: string;
  /** Steps that judge a candidate without letting it out: a pull request runs up to these. */
  until: readonly string[];
  /** In the order of promotion; a pull request runs on the first. */
  stacks: readonly string[];
  /** Of the repository. */
  branch: string;
  /** Names of variables that the vendor keeps secret and each job sees. */
  secrets: readonly string[];
  /** Version of the npm package `espalier`. */
  version: string;
}

/** What acts on others: a pull request does none of it. */
const outward = new Set(["register", "package", "deploy", "approve"]);

/** The steps up to which a pull request may run: those that judge, else all that do nothing outside. */
export function judgingSteps({ steps }: Pick<PipelineIr, "steps">): string[] {
  const names = Object.keys(steps);
  const judging = names.filter((name) => steps[name]?.uses === "evaluate" || steps[name]?.uses === "gate");
  return judging.length > 0 ? judging : names.filter((name) => !outward.has(steps[name]?.uses ?? ""));
}

/** Shell lines that a pull request runs; `comment.md` is what is to be said, `status` the exit code of the run. */
export function checkLines({ pipeline, until, stacks }: Delivery): string[] {
  const on = `${pipeline} --stack ${stacks[0] ?? ""}`;
  return [
    `espalier plan ${on} --until ${until.join(",")} --json >plan.json || true`,
    "status=0",
    `espalier run ${on} --until ${until.join(",")} --json >run.json || status=$?`,
    "espalier ci comment --plan plan.json --run run.json >comment.md",
    'echo "$status" >status',
  ];
}

/** Gates are steps of the pipeline: one that refuses ends the run with exit code 1, and the stacks that follow are not reached. */
export const promoteLine = ({ pipeline }: Delivery, stack: string): string =>
  `espalier run ${pipeline} --stack ${stack}`;

export const installLine = ({ version }: Delivery): string => `npm install --global espalier@${version}`;
