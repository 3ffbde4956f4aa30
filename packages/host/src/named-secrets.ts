import type { Project } from "./project.ts";
import type { ToolChoice } from "./project-schema.ts";

export interface NamedSecret {
  name: string;
  /** `espalier.yaml:line:column` of the setting that names it. */
  at: string;
}

type Path = readonly (string | number)[];

/** The secrets that settings of a stack's tools name: what ends in `_secret`, as in every tool's settings. Each place once. */
export function namedSecrets(project: Project, stackName: string): NamedSecret[] {
  const { compute = {}, ...singles } = project.stacks[stackName] ?? {};
  const choices: [path: Path, choice: ToolChoice | undefined][] = [
    ...Object.entries(singles).map(([component, choice]): [Path, ToolChoice | undefined] => [[component], choice]),
    ...Object.entries(compute).map(([name, choice]): [Path, ToolChoice] => [["compute", name], choice]),
  ];
  return choices.flatMap(([path, choice]) =>
    secretsIn(choice?.with, [...path, "with"]).map(({ name, at }) => ({
      name,
      at: project.locate(["stacks", writtenIn(project, stackName, at), ...at]),
    })),
  );
}

function secretsIn(value: unknown, path: Path): { name: string; at: Path }[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const at = [...path, key];
    if (key.endsWith("_secret") && typeof member === "string") return [{ name: member, at }];
    return secretsIn(member, at);
  });
}

/** The stack, among those that this one extends, whose text holds the setting. */
function writtenIn(project: Project, stackName: string, path: Path): string {
  for (let name: string | undefined = stackName; name !== undefined; ) {
    const own: unknown = project.config.stacks?.[name];
    if (path.reduce<unknown>(memberOf, own) !== undefined) return name;
    name = project.config.stacks?.[name]?.extends;
  }
  return stackName;
}

function memberOf(value: unknown, key: string | number): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
