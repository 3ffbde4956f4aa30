import { createHash } from "node:crypto";
import type { StackInfo } from "@espalier/contract";
import {
  canonicalJson,
  type OpenableComponent,
  pipelineDigest,
  type ToolManifest,
  toEspalierError,
} from "@espalier/core";
import {
  checkStack,
  embeddedDefaults,
  findTool,
  loadPipelines,
  mirrorComponents,
  mirrorDefaults,
} from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { readPipeline } from "../runs/read-pipeline.ts";

export function projectHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"project">> {
  const { project, record } = plane;
  return {
    "project.info": async () => ({
      project: project.name,
      projectId: project.name,
      version: plane.version,
      defaultStack: project.defaultStack,
      record: record.kind === "postgres" ? "postgresql" : "sqlite",
      stack: plane.stack.name,
    }),
    "project.stacks": async () => ({
      items: await Promise.all(Object.keys(project.stacks).map((name) => stackInfo(plane, name))),
    }),
    "project.pipelines": async () => ({
      items: (await loadPipelines(project.directory)).map(({ pipeline, faults, file }) => {
        const broken = faults.length > 0 || pipeline === undefined;
        return {
          name: pipeline?.name ?? file,
          path: file,
          steps: Object.keys(pipeline?.steps ?? {}),
          ...(pipeline?.schedule === undefined ? {} : { schedule: pipeline.schedule }),
          ...(broken ? { error: faults[0]?.message ?? "it can not be read" } : { digest: pipelineDigest(pipeline) }),
        };
      }),
    }),
    "project.pipeline": async ({ params }) => {
      const { pipeline, file } = await readPipeline(plane, params.pipeline, plane.stack.name);
      return { path: file, digest: pipelineDigest(pipeline), ir: pipeline };
    },
  };
}

type Component = StackInfo["components"][number];

/** From manifests alone: a tool whose package is missing is listed with what is wrong, and the others are not lost for it. */
async function stackInfo({ project }: ControlPlane, name: string): Promise<StackInfo> {
  const stack = project.stacks[name] ?? {};
  const parent = project.config.stacks?.[name]?.extends;
  const components: Component[] = [];
  const mirrors = mirrorComponents.filter((component) => stack[component] !== undefined);
  for (const component of [...(Object.keys(embeddedDefaults) as OpenableComponent[]), ...mirrors]) {
    if (component === "compute") {
      const computes = { default: {}, ...stack.compute };
      for (const [compute, { uses, with: settings }] of Object.entries<{ uses?: string; with?: unknown }>(computes)) {
        const info = await toolInfo(project.directory, component, uses);
        components.push({ ...info, name: compute, ...digestOfSettings(settings) });
      }
      continue;
    }
    const info = await toolInfo(project.directory, component, stack[component]?.uses);
    components.push({ ...info, ...digestOfSettings(stack[component]?.with) });
  }
  return {
    name,
    isDefault: name === project.defaultStack,
    ...(parent === undefined ? {} : { extends: parent }),
    components,
    problems: (await checkStack(project, name)).map(({ code, message, at, pointer, hint }) => ({
      code,
      message,
      at: at ?? pointer,
      ...(hint === undefined ? {} : { hint }),
    })),
  };
}

function digestOfSettings(settings: unknown): Pick<Component, "settingsDigest"> {
  if (settings === undefined) return {};
  return { settingsDigest: createHash("sha256").update(canonicalJson(settings)).digest("hex") };
}

async function toolInfo(
  directory: string,
  component: OpenableComponent,
  uses = { ...embeddedDefaults, ...mirrorDefaults }[component],
): Promise<Component> {
  try {
    const { manifest } = await findTool(component, uses, directory, `stacks.${component}`);
    const { tool, provider, milestone, capabilities, skills, cost, losses = [], ownership } = manifest;
    return {
      component,
      tool,
      provider,
      verified: labelOf(manifest),
      milestone,
      capabilities,
      skills,
      cost,
      losses,
      ...(ownership === undefined ? {} : { ownership }),
    };
  } catch (error) {
    const verified = toEspalierError(error).message;
    const unknown = {
      milestone: 0,
      capabilities: [],
      skills: [],
      cost: { money: "not known", operations: "not known" },
    };
    return { component, tool: uses, provider: "custom", verified, ...unknown, losses: [] };
  }
}

function labelOf({ verified }: ToolManifest): string {
  const live = verified.live === "not yet run against the live service" ? `, ${verified.live}` : "";
  return `${verified.label}: ${verified.against}${live}`;
}
