import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { didYouMean, EspalierError, type Fault, faultsError, salvage } from "@espalier/core";
import { endpointFaults } from "./endpoint-checks.ts";
import { monitoredEndpoints } from "./monitored-endpoints.ts";
import { type ProjectConfig, type ProjectDeclaration, projectSchema } from "./project-schema.ts";
import { implicitStack, type ResolvedStack, resolveStacks } from "./stacks.ts";
import { placed, readYamlDocument } from "./yaml-document.ts";

export const projectFile = "espalier.yaml";

export interface Project {
  name: string;
  /** Absolute path of the folder with espalier.yaml. */
  directory: string;
  /** `<directory>/.espalier` */
  stateDirectory: string;
  config: ProjectConfig;
  /** With what they inherit. */
  stacks: Readonly<Record<string, ResolvedStack>>;
  defaultStack: string;
  /** `espalier.yaml:line:column` of a path into it. */
  locate(path: readonly PropertyKey[]): string;
}

/** The nearest folder, from here up, that holds an espalier.yaml. NOT_FOUND. */
export async function findProject(from: string): Promise<string> {
  let folder = resolve(from);
  for (;;) {
    if ((await kindOf(join(folder, projectFile))) === "file") return folder;
    const parent = dirname(folder);
    if (parent === folder) break;
    folder = parent;
  }
  throw new EspalierError("NOT_FOUND", `There is no ${projectFile} here or in a folder above`, {
    at: resolve(from),
    hint: "`espalier init` makes a project; `--project <folder>` names another one.",
  });
}

/** Reads espalier.yaml; INVALID_CONFIG names every fault with its line. */
export async function loadProject(directory: string): Promise<Project> {
  const folder = resolve(directory);
  const text = await readFile(join(folder, projectFile), "utf8").catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `${projectFile} can not be read`, {
      at: join(folder, projectFile),
      cause,
      hint: "`espalier init` makes a project.",
    });
  });
  const parsed = parseProject(text);
  if (parsed.faults.length > 0 || parsed.config === undefined) throw faultsError(parsed.faults, projectFile);
  return {
    name: parsed.config.project,
    directory: folder,
    stateDirectory: join(folder, ".espalier"),
    config: parsed.config,
    stacks: parsed.stacks,
    defaultStack: parsed.defaultStack,
    locate: parsed.locate,
  };
}

export interface ParsedProject {
  config?: ProjectConfig;
  stacks: Readonly<Record<string, ResolvedStack>>;
  defaultStack: string;
  faults: Fault[];
  locate(path: readonly PropertyKey[]): string;
}

export function parseProject(text: string): ParsedProject {
  const document = readYamlDocument(text, projectFile);
  if (document.faults.length > 0) {
    return { stacks: {}, defaultStack: implicitStack, faults: document.faults, locate: document.locate };
  }
  // An empty stack is written `laptop:` as often as `laptop: {}`.
  const value = withoutEmptyStacks(document.value ?? {});
  const { faults, value: config } = salvage(projectSchema, value, "INVALID_CONFIG", { "/project": "unnamed" });
  const { stacks, faults: stackFaults } = resolveStacks(config ?? {});
  const watched = monitoredEndpoints(config?.monitors ?? {}, config?.endpoints ?? {});
  const defaultStack = config?.default_stack ?? Object.keys(stacks)[0] ?? implicitStack;
  const all = [...faults, ...stackFaults, ...watched.faults, ...endpointFaults(config ?? {})];
  if (config !== undefined && stacks[defaultStack] === undefined) {
    all.push({
      code: "INVALID_CONFIG",
      check: "default-stack",
      message: `there is no stack \`${defaultStack}\``,
      pointer: "/default_stack",
      hint: didYouMean(defaultStack, Object.keys(stacks), "stacks"),
    });
  }
  return {
    ...(config === undefined ? {} : { config: withMonitors(config, watched.monitors) }),
    stacks,
    defaultStack,
    faults: placed(all, document.locate),
    locate: document.locate,
  };
}

/** A project that declares no monitor keeps saying so by saying nothing. */
function withMonitors(
  { monitors: declared, ...rest }: ProjectDeclaration,
  monitors: NonNullable<ProjectConfig["monitors"]>,
): ProjectConfig {
  return declared === undefined ? rest : { ...rest, monitors };
}

function withoutEmptyStacks(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("stacks" in value)) return value;
  const { stacks } = value;
  if (typeof stacks !== "object" || stacks === null || Array.isArray(stacks)) return value;
  return { ...value, stacks: Object.fromEntries(Object.entries(stacks).map(([name, stack]) => [name, stack ?? {}])) };
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return found.isDirectory() ? "folder" : "file";
}
