import type { DoctorReport } from "@espalier/contract";
import { claimStore, planGc } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";

type Check = DoctorReport["checks"][number];

/** Beyond it leases of one control plane look stale to another, and signed URLs expire too early. */
const bearableSkewMilliseconds = 2_000;

/** Schema, clock, and what a crash may have left behind. */
export async function recordChecks({ record }: ControlPlane): Promise<Check[]> {
  await record.settings.databaseId();
  const { schemaVersion, clockSkewMilliseconds, abandonedRuns, strayAttempts, oldUploads } = await record.health.look();
  const kind = record.kind === "postgres" ? "PostgreSQL" : "SQLite";
  const checks: Check[] = [{ name: "record", status: "ok", message: `${kind} answers, schema ${schemaVersion}` }];
  const skew = Math.abs(clockSkewMilliseconds);
  if (skew <= bearableSkewMilliseconds) checks.push({ name: "clock", status: "ok", message: "as the database's" });
  else {
    checks.push({
      name: "clock",
      status: "warn",
      message: `${(skew / 1000).toFixed(1)} s ${clockSkewMilliseconds > 0 ? "behind" : "before"} the database's`,
      means: "Control planes take each other for dead, and signed URLs expire too early or are not valid yet.",
      hint: "Set the clock by NTP: timedatectl set-ntp true",
    });
  }
  for (const { runId, since } of abandonedRuns) {
    checks.push({
      name: "run",
      status: "warn",
      at: runId,
      message: `nobody has driven it since ${new Date(since).toISOString()}`,
      means: "The control plane that drove it is gone; the next one takes it up by itself.",
      hint: `\`espalier up\` goes on with it; \`espalier cancel ${runId}\` ends it.`,
    });
  }
  for (const { attemptId, runId, step, tool } of strayAttempts) {
    checks.push({
      name: "attempt",
      status: "warn",
      at: `${runId}/${step}`,
      message: `${attemptId} goes on by its state (${tool}), and its run has ended`,
      means: "A process or a job may still be running for nobody.",
      hint: `\`espalier logs ${runId} ${step}\` shows what it last said; end it with ${tool}'s own tools.`,
    });
  }
  if (oldUploads > 0) {
    checks.push({
      name: "uploads",
      status: "warn",
      message: `${oldUploads} uploads of files were begun more than a day ago and never ended`,
      means: "Their parts take up room until they are ended or given up by the client that began them.",
      hint: "`espalier gc` keeps parts of uploads under way; end or abort them with the client.",
    });
  }
  return checks;
}

/** What nothing refers to. Lists the whole store, so only when everything is looked at. */
export async function orphanChecks({ record, stack }: ControlPlane): Promise<Check[]> {
  const database = await record.settings.databaseId();
  await claimStore(stack.artifactStore, database);
  const { objects, bytes } = await planGc(stack.artifactStore, record.references.artifacts(), {
    database,
    now: Date.now(),
  });
  if (objects.length === 0) return [{ name: "orphans", status: "ok", message: "everything stored is referred to" }];
  return [
    {
      name: "orphans",
      status: "warn",
      message: `${objects.length} objects (${bytes} bytes) that nothing refers to`,
      means: "Left by runs that were cut off, or by what was deleted; they only take up room.",
      hint: "`espalier gc` previews them, `espalier gc --sweep` puts them into quarantine for seven days.",
    },
  ];
}

/** Versions that endpoints name and the registry no longer has. */
export async function servedChecks({ record }: ControlPlane): Promise<Check[]> {
  const checks: Check[] = [];
  for (const { name, spec } of (await record.endpoints.list({ limit: 1000 })).items) {
    for (const { model, version } of spec.versions) {
      if ((await record.models.version(model, Number(version))) !== undefined) continue;
      checks.push({
        name: `endpoint ${name}`,
        status: "warn",
        message: `serves ${model}, version ${version}, which is not in the registry`,
        means: "It goes on from its folder; it can not be deployed again, nor traced to its data.",
        hint: `Deploy one that is there: espalier deploy ${name} ${model}@<version>`,
      });
    }
  }
  return checks;
}
