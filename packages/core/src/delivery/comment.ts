/** What a comment on a pull request is made of. */
export interface CommentFacts {
  pipeline: string;
  stack: string;
  steps: readonly { step: string; action: string; reason?: string | undefined; state?: string | undefined }[];
  /** Faults that the plan found. */
  problems: readonly { message: string; at?: string | undefined; hint?: string | undefined }[];
  error?: { code: string; message: string; hint?: string | undefined };
  /** The run that this one is compared with; absent: there is none yet. */
  against?: string;
  metrics: readonly { step: string; key: string; before: number | undefined; now: number | undefined }[];
}

/** First line of a comment: a mark that Markdown does not show, by which the next one finds it. */
export const commentMarker = (pipeline: string): string => `<!-- espalier ${pipeline} -->`;

/** Markdown. Whatever comes from the project is text in it, never markup. */
export function pullRequestComment(facts: CommentFacts): string {
  const { pipeline, stack, steps, problems, error, against, metrics } = facts;
  const cached = steps.filter(({ action }) => action === "cached").length;
  const lines = [
    commentMarker(pipeline),
    `### Espalier: \`${code(pipeline)}\` on \`${code(stack)}\``,
    "",
    `${cached} of ${steps.length} steps ${cached === 1 ? "is" : "are"} cached.`,
  ];
  for (const problem of problems)
    lines.push("", `- **${text(problem.message)}** ${text(problem.at ?? "")} ${text(problem.hint ?? "")}`);
  if (error !== undefined) {
    lines.push("", `**${error.code}**: ${text(error.message)}`);
    if (error.hint !== undefined) lines.push("", text(error.hint));
  }
  if (steps.length > 0) {
    lines.push("", "| step | planned | came to | because |", "| --- | --- | --- | --- |");
    for (const { step, action, state = "", reason = "" } of steps) {
      lines.push(`| ${text(step)} | ${action} | ${state} | ${text(reason)} |`);
    }
  }
  const changed = metrics.filter(({ before, now }) => before !== now);
  if (metrics.length > 0) {
    lines.push(
      "",
      against === undefined ? "No earlier run to compare with." : `Metrics, compared with run \`${code(against)}\`:`,
    );
    if (changed.length === 0) lines.push("", "All metrics are equal.");
    else {
      lines.push("", "| metric | before | now | difference |", "| --- | ---: | ---: | ---: |");
      for (const { step, key, before, now } of changed) {
        const difference = before === undefined || now === undefined ? "" : signed(now - before);
        lines.push(`| ${text(`${step} ${key}`)} | ${number(before)} | ${number(now)} | ${difference} |`);
      }
    }
  }
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

const number = (value: number | undefined): string => (value === undefined ? "" : String(Number(value.toPrecision(6))));
const signed = (value: number): string => `${value > 0 ? "+" : ""}${number(value)}`;
const code = (value: string): string => value.replaceAll("`", "'").replaceAll("\n", " ");
/** Neither markup, nor a new cell or row, nor somebody's name that would be told of it. */
const text = (value: string): string =>
  value.replaceAll(/[\\`*_{}[\]<>()#+!|@~-]/g, (mark) => `\\${mark}`).replaceAll(/\s*\n\s*/g, " ");
