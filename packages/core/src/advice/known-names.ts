import { closest } from "../closest.ts";
import { EspalierError } from "../errors.ts";
import { providerSchema, type ToolManifest } from "../manifest.ts";
import type { Answers } from "./answers.ts";
import type { RankOptions } from "./rank.ts";
import { skills } from "./skills.ts";

function namesIn({ tools, answers }: Pick<RankOptions, "tools" | "answers">): Set<string> {
  return new Set([
    ...Object.keys(skills),
    ...providerSchema.options,
    ...tools.map(({ tool }) => tool),
    ...answers.running.map(({ tool }) => tool),
  ]);
}

/** A team may name tools that we do not know; but a name that is nearly one of ours is a slip, and would silently count for nothing. */
export function requireKnownNames(options: RankOptions): void {
  const { people, operated, bounds } = options.answers;
  const known = namesIn(options);
  const lists: [place: string, names: readonly string[]][] = [
    ...people.map(({ repairs }, index): [string, readonly string[]] => [`people[${index}].repairs`, repairs]),
    ["operated", operated],
    ["bounds.refused", bounds.refused],
    ["bounds.approval.approved", bounds.approval?.approved ?? []],
  ];
  const slips = lists.flatMap(([place, names]) =>
    names.flatMap((name, index) => {
      const meant = known.has(name) ? undefined : closest(name, known);
      return meant === undefined ? [] : [{ at: `${place}[${index}]`, name, meant }];
    }),
  );
  const [first] = slips;
  if (first === undefined) return;
  throw new EspalierError("INVALID_INPUT", `There is no skill, tool or provider "${first.name}"`, {
    at: slips.map(({ at }) => at).join(", "),
    hint: slips.map(({ name, meant }) => `Did you mean "${meant}" for "${name}"?`).join(" "),
    details: { slips },
  });
}

/** What runs under a name that is nearly a tool's, or at a milestone that the tool is not for. Both are the team's to say, and are minded. */
export function misfitsOf(tools: readonly ToolManifest[], answers: Answers): string[] {
  const { running, operated, bounds, people } = answers;
  const atMilestone = (tool: string): number[] => tools.filter((one) => one.tool === tool).map((one) => one.milestone);
  const found: string[] = [];
  for (const [index, { tool, milestone, provider }] of running.entries()) {
    const place = `running[${index}]`;
    const milestones = [...new Set(atMilestone(tool))];
    const meant = closest(tool, new Set(tools.map((one) => one.tool)));
    if (milestones.length === 0 && meant !== undefined && meant !== tool) {
      found.push(`No manifest knows ${tool} (${place}); if ${meant} is meant, its own figures would count.`);
    } else if (milestones.length > 0 && !milestones.includes(milestone)) {
      found.push(
        `${tool} is a tool of milestone ${milestones.join(", ")}, and runs with you at ${milestone} (${place}): it is taken as you say.`,
      );
    }
    if (provider === undefined && milestones.length === 0 && (bounds.air_gapped || bounds.residency !== undefined)) {
      found.push(`Whether ${tool} keeps your bounds can not be told: say its provider (${place}.provider).`);
    }
  }
  const known = namesIn({ tools, answers });
  const named = [...operated, ...bounds.refused, ...people.flatMap(({ repairs }) => repairs)];
  const unknown = named.filter((name) => !known.has(name));
  for (const name of new Set(unknown)) found.push(`No manifest and no skill is called ${name}: it counts for nothing.`);
  return found;
}
