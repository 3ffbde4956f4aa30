import { statfs } from "node:fs/promises";
import type { DoctorReport } from "@espalier/contract";
import {
  type ArtifactRef,
  type NamedRoot,
  type StoreDamage,
  type StoreReport,
  setAsideDamaged,
  toEspalierError,
  verifyStore,
} from "@espalier/core";
import { checkStack, loadPipelines, namedSecrets, openStack } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import { planEndpoints } from "../endpoints/plan-endpoints.ts";
import { mirrorStatuses } from "../mirrors/mirror-status.ts";

import { orphanChecks, recordChecks, servedChecks } from "./doctor-record.ts";
import { toolChecks } from "./doctor-tools.ts";

type Check = DoctorReport["checks"][number];

const scarceDiskBytes = 1024 ** 3;

/** Record, store, tools, pipelines, disk and endpoints; `deep` reads and hashes every blob. */
export async function checkHealth(
  plane: ControlPlane,
  { deep, stack = plane.stack.name }: { deep: boolean; stack?: string | undefined },
): Promise<DoctorReport> {
  const checks: Check[] = [];
  const run = async (name: string, check: () => Promise<Check[]>): Promise<void> => {
    try {
      checks.push(...(await check()));
    } catch (error) {
      const { message, at, hint } = toEspalierError(error);
      checks.push({
        name,
        status: "fail",
        message,
        ...(at === undefined ? {} : { at }),
        ...(hint === undefined ? {} : { hint }),
      });
    }
  };
  await run("record", () => recordChecks(plane));
  await run("stack", () => stackChecks(plane, stack));
  await run("tools", () => toolChecks(plane, stack));
  await run("secrets", () => secretChecks(plane, stack));
  await run("pipelines", () => pipelineChecks(plane));
  await run("disk", () => diskChecks(plane));
  await run("endpoints", () => endpointChecks(plane));
  await run("endpoints", () => declarationChecks(plane));
  await run("endpoints", () => servedChecks(plane));
  await run("mirrors", () => mirrorChecks(plane));
  await run("artifacts", () => (deep ? deepChecks(plane) : shallowChecks(plane)));
  if (deep) await run("orphans", () => orphanChecks(plane));
  return { healthy: checks.every((check) => check.status !== "fail"), checks };
}

async function stackChecks({ project }: ControlPlane, stack: string): Promise<Check[]> {
  const faults = await checkStack(project, stack);
  if (faults.length === 0)
    return [{ name: "stack", status: "ok", message: `every tool of the stack ${stack} is there` }];
  return faults.map((fault) => ({
    name: "stack",
    status: "fail",
    message: fault.message,
    at: fault.at ?? fault.pointer,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
  }));
}

/** Only whether each is there: what they hold is looked at by nobody. */
async function secretChecks(plane: ControlPlane, stack: string): Promise<Check[]> {
  const named = namedSecrets(plane.project, stack);
  if (named.length === 0) return [];
  const opened = stack === plane.stack.name ? undefined : await openStack(plane.project, stack);
  try {
    const { secrets } = opened ?? plane.stack;
    return await Promise.all(
      named.map(async ({ name, at }): Promise<Check> => {
        if ((await secrets.get(name)) !== undefined) {
          return { name: "secret", status: "ok", message: `${name} is there`, at };
        }
        const hint = `\`espalier secret set ${name}\`, or an environment variable of that name where the stack reads those.`;
        return { name: "secret", status: "fail", message: `there is no secret ${name}`, at, hint };
      }),
    );
  } finally {
    await opened?.close();
  }
}

async function pipelineChecks({ project }: ControlPlane): Promise<Check[]> {
  const pipelines = await loadPipelines(project.directory);
  const faults = pipelines.flatMap((pipeline) => pipeline.faults);
  if (faults.length === 0) return [{ name: "pipelines", status: "ok", message: `${pipelines.length} can be read` }];
  return faults.map((fault) => ({
    name: "pipelines",
    status: "fail",
    message: fault.message,
    at: fault.at ?? fault.pointer,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
  }));
}

async function diskChecks({ project }: ControlPlane): Promise<Check[]> {
  const { bavail, bsize } = await statfs(project.stateDirectory);
  const free = bavail * bsize;
  const message = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free >= scarceDiskBytes) return [{ name: "disk", status: "ok", message }];
  return [{ name: "disk", status: "warn", message, hint: "`espalier gc` previews what can go." }];
}

async function endpointChecks({ record, stack }: ControlPlane): Promise<Check[]> {
  const checks: Check[] = [];
  for (const endpoint of (await record.endpoints.list({ limit: 1000 })).items) {
    const status = await stack.deployer.status(endpoint.name);
    const name = `endpoint ${endpoint.name}`;
    if (status?.ready) checks.push({ name, status: "ok", message: `serves generation ${status.generation}` });
    else checks.push({ name, status: "fail", message: "does not serve", hint: `\`espalier deploy\` starts it again.` });
  }
  return checks;
}

/** What espalier.yaml declares and is not served so. */
async function declarationChecks(plane: ControlPlane): Promise<Check[]> {
  return (await planEndpoints(plane)).flatMap(({ name, action, at, reason, problem }): Check[] => {
    const place = at === undefined ? {} : { at };
    const told = { name: `endpoint ${name}`, ...place };
    if (problem !== undefined) {
      const hint = problem.hint === undefined ? {} : { hint: problem.hint };
      return [{ ...told, status: "warn", message: problem.message, ...hint }];
    }
    if (action === "none") return [];
    const message = `is not as it is declared (${action}${reason === undefined ? "" : `: ${reason}`})`;
    return [{ ...told, status: "warn", message, hint: "`espalier plan --endpoints` shows what differs." }];
  });
}

async function mirrorChecks(plane: ControlPlane): Promise<Check[]> {
  return (await mirrorStatuses(plane)).map(({ mirror, pending, tries, lastError, lastDeliveredAt }): Check => {
    const name = `mirror ${mirror}`;
    const last =
      lastDeliveredAt === undefined ? "nothing told yet" : `last told ${new Date(lastDeliveredAt).toISOString()}`;
    const message = `${pending} changes wait, ${last}`;
    if (tries === 0) return { name, status: "ok", message };
    const passes = /^(UNREACHABLE|UNAVAILABLE|TIMEOUT|RATE_LIMITED|DISK_FULL): /.test(lastError ?? "");
    const hint = passes
      ? "It is told as soon as it answers; nothing is lost meanwhile."
      : "Mend it in espalier.yaml, in the secret or on the server, and start the control plane again; nothing is lost meanwhile.";
    return { name, status: "warn", message: `${message}; ${tries} tries failed: ${lastError ?? ""}`, hint };
  });
}

async function shallowChecks(plane: ControlPlane): Promise<Check[]> {
  let looked = 0;
  const missing = new Set<string>();
  for await (const ref of distinct(plane)) {
    looked += 1;
    if (!(await plane.artifacts.exists(ref))) missing.add(ref.digest);
  }
  if (missing.size === 0) {
    return [{ name: "artifacts", status: "ok", message: `${looked} are whole by size; \`--deep\` hashes them` }];
  }
  return [...missing].slice(0, 100).map((digest) => ({
    name: "artifacts",
    status: "fail",
    message: `${digest} is not whole`,
    hint: againHint,
  }));
}

async function verify(plane: ControlPlane): Promise<StoreReport> {
  async function* named(): AsyncGenerator<NamedRoot> {
    for await (const ref of distinct(plane)) yield { name: `${ref.type} ${ref.digest}`, ref };
  }
  return verifyStore(plane.stack.artifactStore, named());
}

async function deepChecks(plane: ControlPlane): Promise<Check[]> {
  const report = await verify(plane);
  if (report.damages.length === 0) {
    return [
      {
        name: "artifacts",
        status: "ok",
        message: `${report.objects} objects (${report.bytes} bytes) hash to their names`,
      },
    ];
  }
  return report.damages.map((damage) => ({
    name: "artifacts",
    status: "fail",
    message: damage.message,
    at: damage.key,
    hint:
      damage.kind === "missing"
        ? `Needed by ${users(damage)}. ${againHint}`
        : `Needed by ${users(damage)}. \`espalier doctor --repair\` moves it aside; then run what made it again.`,
  }));
}

const againHint = "`espalier run` makes it again: a step whose outputs are not whole is not taken from the cache.";

const users = ({ usedBy }: StoreDamage): string => usedBy.slice(0, 3).join(", ") || "nothing";

/** Damaged objects are moved aside, never deleted: a cache hit then misses, and the step writes them whole. */
export async function repairStore(plane: ControlPlane): Promise<DoctorReport> {
  const report = await verify(plane);
  await setAsideDamaged(plane.stack.artifactStore, report);
  const checks = report.damages.map(
    (damage): Check => ({
      name: "artifacts",
      status: "warn",
      message: damage.kind === "missing" ? damage.message : `moved aside to damaged/${damage.key}`,
      at: damage.key,
      hint: damage.usedBy.length === 0 ? "Nothing needs it." : `Needed by ${users(damage)}. ${againHint}`,
    }),
  );
  const whole: Check = { name: "artifacts", status: "ok", message: `${report.objects} objects hash to their names` };
  return { healthy: true, checks: checks.length === 0 ? [whole] : checks };
}

async function* distinct({ record }: ControlPlane): AsyncGenerator<ArtifactRef, void, void> {
  const seen = new Set<string>();
  for await (const ref of record.references.artifacts()) {
    if (seen.has(ref.digest)) continue;
    seen.add(ref.digest);
    yield ref;
  }
}
