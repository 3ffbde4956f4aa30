import { isEspalierError, type RegistryMirror } from "@espalier/core";
import type { RegistryChange } from "../db/mirror-changes.ts";
import type { OutboxRow } from "../db/queries/mirrors.ts";
import type { ProjectRecord } from "../db/record.ts";
import type { ArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { contentPath, filesBelow } from "../transfer/record-files.ts";

export interface RegistryDelivery {
  record: ProjectRecord;
  folders: ArtifactFolders;
  registry: RegistryMirror;
  mirror: string;
  signal: AbortSignal;
  refused(what: string, error?: unknown): void;
}

const versionsAtOnce = 500;

export async function deliverRegistry(delivery: RegistryDelivery, rows: readonly OutboxRow[]): Promise<void> {
  const told = new Set<string>();
  for (const { change } of rows as readonly { change: RegistryChange }[]) {
    // Each says only that something is new, and is told as it is by now: once a batch is enough.
    const key = `${change.kind} ${change.subject}`;
    if (told.has(key)) continue;
    told.add(key);
    try {
      await tellAnew(delivery, change);
    } catch (error) {
      if (!isEspalierError(error) || (error.code !== "INVALID_INPUT" && error.code !== "TOO_LARGE")) throw error;
      delivery.refused(change.subject, error);
    }
  }
}

/** Somebody may have deleted the model, or a version, over there: it is made anew, whole, or every later change would fail on it. */
async function tellAnew(delivery: RegistryDelivery, change: RegistryChange): Promise<void> {
  try {
    await tell(delivery, change);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
    const name = change.kind === "version" ? splitVersion(change.subject).name : change.subject;
    await forgetModel(delivery, name);
    await tellModel(delivery, name);
  }
}

async function tell(delivery: RegistryDelivery, change: RegistryChange): Promise<void> {
  if (change.kind === "model") await tellModel(delivery, change.subject);
  else if (change.kind === "aliases") await tellAliases(delivery, change.subject);
  else {
    const { name, number } = splitVersion(change.subject);
    await tellVersion(delivery, name, number);
  }
}

function splitVersion(subject: string): { name: string; number: number } {
  const slash = subject.lastIndexOf("/");
  return { name: subject.slice(0, slash), number: Number(subject.slice(slash + 1)) };
}

/** What a model and its versions are called over there. */
async function forgetModel({ record, mirror }: RegistryDelivery, name: string): Promise<void> {
  await record.mirrors.dropName(mirror, "registered-model", name);
  for (;;) {
    const numbers = await record.mirrors.namesUnder(mirror, "version", `${name}/`);
    if (numbers.length === 0) break;
    for (const number of numbers) await record.mirrors.dropName(mirror, "version", number);
  }
}

/** A model that the server does not have is told whole: it may be older than the mirror, or have got its name just now. */
async function tellModel(delivery: RegistryDelivery, name: string): Promise<void> {
  const { record, registry, mirror, signal } = delivery;
  const known = await record.mirrors.nameOf(mirror, "registered-model", name);
  const model = await record.trackedReads.registeredModel(name);
  if (model === undefined) {
    await registry.remove(name, undefined, { signal });
    // Its versions' numbers over there are gone with it, and the name may come back.
    await forgetModel(delivery, name);
    return;
  }
  await registry.putModel(model, { signal });
  if (known !== undefined) return;
  await record.mirrors.putName(mirror, "registered-model", name, name);
  for (let after = 0; ; ) {
    const numbers = await record.trackedReads.versionNumbers(name, after, versionsAtOnce);
    for (const number of numbers) await tellVersion(delivery, name, number);
    if (numbers.length < versionsAtOnce) break;
    after = numbers.at(-1) ?? 0;
  }
  await tellAliases(delivery, name);
}

async function tellVersion(delivery: RegistryDelivery, name: string, number: number): Promise<void> {
  const { record, registry, mirror, signal, folders } = delivery;
  const id = `${name}/${number}`;
  const known = await record.mirrors.nameOf(mirror, "version", id);
  const version = await record.trackedReads.version(name, number);
  if (version === undefined) {
    if (known !== undefined) await registry.remove(name, known, { signal });
    await record.mirrors.dropName(mirror, "version", id);
    return;
  }
  if ((await record.mirrors.nameOf(mirror, "registered-model", name)) === undefined) {
    const model = await record.trackedReads.registeredModel(name);
    if (model === undefined) return;
    await registry.putModel(model, { signal });
    await record.mirrors.putName(mirror, "registered-model", name, name);
  }
  const content = contentPath(version);
  const files = () => (content === undefined ? [] : filesBelow(folders, content));
  const there = await registry.putVersion(version, async () => ({ files: files() }), known, { signal });
  if (there !== known) await record.mirrors.putName(mirror, "version", id, there);
}

async function tellAliases(delivery: RegistryDelivery, name: string): Promise<void> {
  const { record, registry, mirror, signal } = delivery;
  const model = await record.trackedReads.registeredModel(name);
  if (model === undefined) return;
  const aliases: Record<string, string> = {};
  for (const [alias, number] of Object.entries(model.aliases)) {
    let there = await record.mirrors.nameOf(mirror, "version", `${name}/${number}`);
    if (there === undefined) {
      await tellVersion(delivery, name, number);
      there = await record.mirrors.nameOf(mirror, "version", `${name}/${number}`);
    }
    if (there !== undefined) aliases[alias] = there;
  }
  await registry.setAliases(name, aliases, { signal });
}
