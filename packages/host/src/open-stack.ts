import { availableParallelism } from "node:os";
import {
  type ComputeTarget,
  didYouMean,
  EspalierError,
  type Fault,
  faultsError,
  jsonPointer,
  type OpenableComponent,
  type Ports,
  pointerPath,
  type RunRow,
  type StepIr,
  salvage,
  type Tool,
  type ToolHost,
  toEspalierError,
} from "@espalier/core";
import { embeddedDefaults, type MirrorComponent, mirrorComponents, mirrorDefaults } from "./catalog.ts";
import { entryPoint } from "./entry-points.ts";
import { findTool } from "./find-tool.ts";
import type { Project } from "./project.ts";
import type { ComputeChoice, ToolChoice } from "./project-schema.ts";

/**
 * A stack with its tools loaded. Each is made when it is first asked for (a deployer supervises from then on); one that can not be made
 * throws then, so that the others can still be used.
 */
export interface OpenStack {
  readonly name: string;
  readonly artifactStore: Ports["artifacts"];
  readonly validator: Ports["validator"];
  readonly packages: Ports["packages"];
  readonly deployer: Ports["deploy"];
  readonly metrics: Ports["metrics"];
  readonly scheduler: Ports["scheduler"];
  readonly secrets: Ports["secrets"];
  /** The mirrors that the stack names. */
  readonly tracking: Ports["tracking"] | undefined;
  readonly registry: Ports["registry"] | undefined;
  readonly lineage: Ports["lineage"] | undefined;
  readonly traces: Ports["traces"] | undefined;
  /** What is wrong with it; empty in a stack that can do all it says. */
  readonly faults: readonly Fault[];
  /**
   * Where a step runs, by its `compute:`, in the run's stack (this one unless the run names another). A `run:` step goes to a tool
   * elsewhere, also by the stack's default. What `uses:` names is our own code, which an image holds only where somebody has put it: a
   * built-in step goes there when it names the compute itself, a TypeScript step never. INVALID_CONFIG, UNSUPPORTED.
   */
  runnerFor(step: Pick<StepIr, "compute" | "uses">, run?: Pick<RunRow, "stack">): Promise<ComputeTarget>;
  close(): Promise<void>;
}

export interface StackContext {
  /** Told about faults of work that nobody waits for. */
  onError?: (error: unknown, doing: string) => void;
}

const singles = ["artifacts", "validator", "packages", "deploy", "metrics", "scheduler", "secrets"] as const;
type Single = (typeof singles)[number] | MirrorComponent;

/** The components that a stack opens one tool for. */
const namedIn = (stack: Project["stacks"][string]): Single[] => [
  ...singles,
  ...mirrorComponents.filter((component) => stack[component] !== undefined),
];

/** INVALID_CONFIG when the project has no such stack. Reaches no network. */
export async function openStack(project: Project, name: string, context: StackContext = {}): Promise<OpenStack> {
  const stack = requireStack(project, name);
  const closers: (() => void | Promise<void>)[] = [];
  const host: ToolHost = {
    ...toolHost(project, closers, context),
    secret: async (secret) => port("secrets").get(secret),
  };
  const opened = new Map<Single, { make: () => unknown } | { error: EspalierError }>();
  await Promise.all(
    namedIn(stack).map(async (component) => {
      try {
        const { tool, settings } = await chosen(project, component, stack[component] ?? {}, [
          "stacks",
          name,
          component,
        ]);
        opened.set(component, { make: () => tool.create(settings, host) });
      } catch (error) {
        opened.set(component, { error: toEspalierError(error) });
      }
    }),
  );
  const made = new Map<Single, unknown>();
  const port = <Component extends Single>(component: Component): Ports[Component] => {
    const found = opened.get(component);
    if (found === undefined) throw new EspalierError("INTERNAL", `The component ${component} was not opened`);
    if ("error" in found) throw found.error;
    if (!made.has(component)) made.set(component, found.make());
    return made.get(component) as Ports[Component];
  };
  const targets = new Map<string, Promise<ComputeTarget>>();
  const once = (key: string, makeAnew: () => Promise<ComputeTarget>): Promise<ComputeTarget> => {
    const target = targets.get(key) ?? makeAnew();
    targets.set(key, target);
    // A target that failed may be mended (a package installed), so it is made anew next time.
    target.catch(() => targets.delete(key));
    return target;
  };
  return {
    name,
    get artifactStore() {
      return port("artifacts");
    },
    get validator() {
      return port("validator");
    },
    get packages() {
      return port("packages");
    },
    get deployer() {
      return port("deploy");
    },
    get metrics() {
      return port("metrics");
    },
    get scheduler() {
      return port("scheduler");
    },
    get secrets() {
      return port("secrets");
    },
    get tracking() {
      return opened.has("tracking") ? port("tracking") : undefined;
    },
    get registry() {
      return opened.has("registry") ? port("registry") : undefined;
    },
    get lineage() {
      return opened.has("lineage") ? port("lineage") : undefined;
    },
    get traces() {
      return opened.has("traces") ? port("traces") : undefined;
    },
    faults: [...opened].flatMap(([component, found]) =>
      "error" in found ? faultsOf(found.error, ["stacks", name, component]) : [],
    ),
    async runnerFor(step, run) {
      const stackName = run?.stack ?? name;
      const target = await once(`${stackName}/${step.compute ?? ""}`, () =>
        makeTarget(project, host, stackName, step.compute),
      );
      if (step.uses === undefined || target.runner.sharesFiles) return target;
      if (step.compute !== undefined && !step.uses.includes("#")) return target;
      return once("", () => localTarget(project, host));
    },
    async close() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

/** What is wrong with a stack's tools and their settings, without opening it: for `plan`, `doctor` and checks. */
export async function checkStack(project: Project, name: string, computes: Iterable<string> = []): Promise<Fault[]> {
  const stack = requireStack(project, name);
  const attempts: (() => Promise<unknown>)[] = namedIn(stack).map(
    (component) => () => chosen(project, component, stack[component] ?? {}, ["stacks", name, component]),
  );
  for (const compute of new Set([...Object.keys(stack.compute ?? {}), ...computes])) {
    attempts.push(() =>
      chosen(project, "compute", computeChoice(project, name, compute), ["stacks", name, "compute", compute]),
    );
  }
  const results = await Promise.allSettled(attempts.map((attempt) => attempt()));
  const faults = results.flatMap((result) =>
    result.status === "rejected" ? faultsOf(toEspalierError(result.reason), ["stacks", name]) : [],
  );
  return faults.map((fault) => ({ ...fault, at: fault.at ?? project.locate(pointerPath(fault.pointer)) }));
}

/** INVALID_CONFIG, with the names that there are, for a stack that the project does not have. */
export function requireStack(project: Project, name: string): Project["stacks"][string] {
  const stack = Object.hasOwn(project.stacks, name) ? project.stacks[name] : undefined;
  if (stack !== undefined) return stack;
  throw new EspalierError("INVALID_CONFIG", `The project has no stack \`${name}\``, {
    at: project.locate(["stacks"]),
    hint: didYouMean(name, Object.keys(project.stacks), "stacks"),
  });
}

async function makeTarget(
  project: Project,
  host: ToolHost,
  stackName: string,
  compute: string | undefined,
): Promise<ComputeTarget> {
  const choice =
    compute === undefined ? defaultCompute(project, stackName) : computeChoice(project, stackName, compute);
  const { port, tool } = await make(project, host, "compute", choice, [
    "stacks",
    stackName,
    "compute",
    compute ?? "default",
  ]);
  return {
    runner: port,
    tool: `${tool.manifest.provider}/${tool.manifest.tool}`,
    name: `${stackName}/${compute ?? "default"}`,
    limit: choice.limit ?? (port.sharesFiles ? availableParallelism() : 100),
    ...(choice.image === undefined ? {} : { image: choice.image }),
  };
}

async function localTarget(project: Project, host: ToolHost): Promise<ComputeTarget> {
  const { port, tool } = await make(project, host, "compute", {}, ["stacks", "compute"]);
  return {
    runner: port,
    tool: `${tool.manifest.provider}/${tool.manifest.tool}`,
    name: "this machine",
    limit: availableParallelism(),
  };
}

function defaultCompute(project: Project, stackName: string): ComputeChoice {
  return requireStack(project, stackName).compute?.["default"] ?? {};
}

/** A stack that names no computes runs every step on this machine; one that does must name those that steps ask for. */
function computeChoice(project: Project, stackName: string, compute: string): ComputeChoice {
  const computes = requireStack(project, stackName).compute ?? {};
  const choice = Object.hasOwn(computes, compute) ? computes[compute] : undefined;
  if (choice !== undefined) return choice;
  const named = Object.keys(computes).filter((name) => name !== "default");
  if (named.length === 0) return computes["default"] ?? {};
  throw new EspalierError("INVALID_CONFIG", `The stack ${stackName} has no compute \`${compute}\``, {
    at: project.locate(["stacks", stackName, "compute"]),
    hint: didYouMean(compute, named, "computes"),
  });
}

async function make<Component extends OpenableComponent>(
  project: Project,
  host: ToolHost,
  component: Component,
  choice: ToolChoice,
  path: readonly string[],
): Promise<{ port: Ports[Component]; tool: Tool<Component, never> }> {
  const { tool, settings } = await chosen(project, component, choice, path);
  return { port: tool.create(settings, host), tool };
}

async function chosen<Component extends OpenableComponent>(
  project: Project,
  component: Component,
  choice: ToolChoice,
  path: readonly string[],
): Promise<{ tool: Tool<Component, never>; settings: never }> {
  const uses = choice.uses ?? { ...embeddedDefaults, ...mirrorDefaults }[component];
  const tool = await findTool(component, uses, project.directory, project.locate([...path, "uses"]));
  const { faults, value } = salvage(tool.config, choice.with ?? {}, "INVALID_CONFIG");
  if (faults.length > 0 || value === undefined) {
    const inside = faults.map((fault) => {
      const full = [...path, "with", ...pointerPath(fault.pointer)];
      const message = fault.message.replace(/^`|^the document/, (mark) =>
        mark === "`" ? `\`${[...path, "with"].join(".")}.` : `\`${[...path, "with"].join(".")}\``,
      );
      return { ...fault, message, pointer: jsonPointer(full), at: project.locate(full) };
    });
    throw faultsError(inside, [...path, "with"].join("."));
  }
  return { tool, settings: value };
}

function faultsOf(error: EspalierError, path: readonly string[]): Fault[] {
  const { faults } = error.details as { faults?: Fault[] };
  if (faults !== undefined) return faults;
  return [
    {
      code: error.code,
      check: "stack-tool",
      message: error.message,
      pointer: jsonPointer(path),
      ...(error.at === undefined ? {} : { at: error.at }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  ];
}

function toolHost(project: Project, closers: (() => void | Promise<void>)[], context: StackContext): ToolHost {
  return {
    project: project.name,
    projectDirectory: project.directory,
    stateDirectory: project.stateDirectory,
    servingEntry: entryPoint("serving"),
    ...context,
    onClose: (close) => {
      closers.push(close);
    },
  };
}
