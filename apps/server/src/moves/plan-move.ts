import { statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { MovePlan } from "@espalier/contract";
import {
  type ArtifactRef,
  blobKey,
  carryTime,
  didYouMean,
  EspalierError,
  keysHeldBy,
  readStoreOwner,
  toEspalierError,
} from "@espalier/core";
import { checkStack, type OpenStack, openStack, type Project, toolManifests } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { sameStore } from "../runs/bring-artifacts.ts";

/** Every artifact that the record refers to, each once. */
export async function* recordedArtifacts({ record }: ControlPlane): AsyncGenerator<ArtifactRef, void, void> {
  const seen = new Set<string>();
  for await (const ref of record.references.artifacts()) {
    const key = `${ref.type} ${ref.digest}`;
    if (seen.has(key)) continue;
    seen.add(key);
    yield ref;
  }
}

/** INVALID_INPUT for a stack that the project does not have, or for one and the same. */
export function requireStacks(project: Project, from: string, to: string): void {
  for (const name of [from, to]) {
    if (project.stacks[name] !== undefined) continue;
    throw new EspalierError("NOT_FOUND", `There is no stack "${name}"`, {
      at: "espalier.yaml: stacks",
      hint: didYouMean(name, Object.keys(project.stacks), "stacks"),
    });
  }
  if (from === to) {
    throw new EspalierError("INVALID_INPUT", `${from} and ${to} are one stack`, {
      at: `${from}..${to}`,
      hint: "Name two: the one that is left, and the one that is moved to.",
    });
  }
}

/** The stack that is open already, or one opened for as long as the work takes. */
export async function withStack<Result>(
  { project, stack }: ControlPlane,
  name: string,
  work: (opened: OpenStack) => Promise<Result>,
): Promise<Result> {
  if (stack.name === name) return work(stack);
  const opened = await openStack(project, name);
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

export async function planMove(plane: ControlPlane, from: string, to: string): Promise<MovePlan> {
  const { project, record } = plane;
  requireStacks(project, from, to);
  const plan: MovePlan = {
    from,
    to,
    sameStore: sameStore(project, from, to),
    artifacts: 0,
    bytes: 0,
    missing: { artifacts: 0, bytes: 0 },
    remaining: await remainingAfter(plane, from, to),
    problems: [],
  };
  for (const name of [from, to]) plan.problems.push(...(await checkStack(project, name)).map(problemOf));
  const problem = (error: unknown): void => {
    plan.problems.push(problemOf(toEspalierError(error)));
  };
  const held = plan.sameStore
    ? undefined
    : await withStack(plane, to, async ({ artifactStore }) => {
        await requireOurs(artifactStore, await record.settings.databaseId(), to);
        return keysHeldBy(artifactStore);
      }).catch((error: unknown) => {
        problem(error);
        // A store that can not be asked may lack all of it.
        return new Set<string>();
      });
  for await (const ref of recordedArtifacts(plane)) {
    plan.artifacts += 1;
    plan.bytes += ref.size;
    if (held === undefined || held.has(blobKey(ref.digest))) continue;
    plan.missing.artifacts += 1;
    plan.missing.bytes += ref.size;
  }
  if (plan.missing.artifacts > 0) {
    const isLocal = [from, to].every((name) => usesFolder(project, name));
    plan.time = carryTime(plan.missing, isLocal ? "disk" : "network");
  }
  const price = storagePrice(project, to);
  if (price !== undefined) plan.dollarsAMonth = (price * plan.bytes) / 1e9;
  const free = plan.sameStore ? undefined : await freeBytesOf(project, to);
  if (free !== undefined) {
    plan.freeBytes = free;
    if (plan.missing.bytes > free) {
      plan.problems.push({
        code: "DISK_FULL",
        message: `${plan.missing.bytes} bytes do not fit into the ${free} that are free`,
        at: `stacks.${to}.artifacts`,
        hint: "Make room, or name another folder; `espalier gc` previews what can go.",
      });
    }
  }
  return plan;
}

/** What another project wrote there is not ours to add to: its `gc` would sweep what we brought. */
export async function requireOurs(
  store: Parameters<typeof readStoreOwner>[0],
  database: string,
  stack: string,
): Promise<void> {
  const owner = await readStoreOwner(store);
  if (owner === undefined || owner === database) return;
  throw new EspalierError("CONFLICT", `The store of ${stack} belongs to another project's database, ${owner}`, {
    at: `stacks.${stack}.artifacts`,
    hint: "Name a folder or a bucket of this project's own.",
  });
}

function problemOf({
  code,
  message,
  at,
  hint,
}: {
  code: string;
  message: string;
  at?: string | undefined;
  hint?: string | undefined;
}) {
  return { code, message, ...(at === undefined ? {} : { at }), ...(hint === undefined ? {} : { hint }) };
}

/** US dollars a gigabyte and month; of the embedded store nothing that is not paid already. */
function storagePrice(project: Project, name: string): number | undefined {
  const uses = project.stacks[name]?.artifacts?.uses ?? "filesystem";
  const tool = toolManifests.find(({ manifest }) => manifest.component === "artifacts" && manifest.tool === uses);
  if (tool?.manifest.provider === "embedded") return 0;
  return tool?.manifest.ownership?.dollarsAGigabyteMonth;
}

function usesFolder(project: Project, name: string): boolean {
  return (project.stacks[name]?.artifacts?.uses ?? "filesystem") === "filesystem";
}

/** Of the disk that a filesystem store is on; undefined for every other tool. */
async function freeBytesOf(project: Project, name: string): Promise<number | undefined> {
  const { uses = "filesystem", with: settings } = project.stacks[name]?.artifacts ?? {};
  if (uses !== "filesystem") return undefined;
  const given = (settings as { path?: unknown } | undefined)?.path;
  let folder = typeof given === "string" ? resolve(project.directory, given) : join(project.stateDirectory, "store");
  for (;;) {
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    } catch (error) {
      // The folder is made by the first object; its disk is that of what it will lie in.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(folder) === folder) throw error;
      folder = dirname(folder);
    }
  }
}

/** What a move does not carry, each with what to do. Runs, models, schedules and lineage are the record's, which no stack owns. */
async function remainingAfter({ project, record }: ControlPlane, from: string, to: string): Promise<string[]> {
  const [one, other] = [project.stacks[from] ?? {}, project.stacks[to] ?? {}];
  const remaining: string[] = [];
  const usedBy = (stack: typeof one, component: "deploy" | "secrets"): string => JSON.stringify(stack[component] ?? {});
  const endpoints = (await record.endpoints.list({ limit: 100 })).items.map(({ name }) => name);
  if (endpoints.length > 0 && usedBy(one, "deploy") !== usedBy(other, "deploy")) {
    remaining.push(
      `The endpoints ${endpoints.join(", ")} go on where they are; deploy them on ${to}: espalier up --stack ${to}, then espalier deploy`,
    );
  }
  for (const component of ["tracking", "registry"] as const) {
    if (other[component] === undefined || JSON.stringify(one[component]) === JSON.stringify(other[component])) continue;
    remaining.push(
      `The ${component} mirror of ${to} is told what changes from the first start on; what is on record now: espalier export ${other[component]?.uses ?? "mlflow"} <its address>`,
    );
  }
  for (const component of ["lineage", "traces"] as const) {
    if (other[component] === undefined || JSON.stringify(one[component]) === JSON.stringify(other[component])) continue;
    remaining.push(
      `The ${component} mirror of ${to} is told of runs from the first start on; earlier ones it is not told of`,
    );
  }
  if (usedBy(one, "secrets") !== usedBy(other, "secrets")) {
    remaining.push(`Secrets are kept by ${to}'s own store: espalier secret set <name>`);
  }
  return remaining;
}
