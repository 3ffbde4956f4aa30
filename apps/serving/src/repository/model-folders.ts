import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";
import type { ModelSource } from "./served-model.ts";

/** What tells a model folder from a folder of model folders. */
const markers = ["signature.json", "MLmodel", "model.onnx"];

/** A platform may put the model some folders deeper than it says. */
const maxDepth = 4;

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    throw new EspalierError("NOT_FOUND", `The folder ${folder} can not be read`, { at: folder, cause });
  }
}

function isModelFolder(entries: readonly Dirent[]): boolean {
  return entries.some((entry) => markers.includes(entry.name) && !entry.isDirectory());
}

/**
 * The model folder at or below a folder that holds nothing but one folder: Azure ML puts the model that was registered below
 * `AZUREML_MODEL_DIR`. What holds more than one is given back as it is, and its loading says what is missing. Errors: NOT_FOUND.
 */
export async function resolveModelFolder(folder: string): Promise<string> {
  let at = folder;
  for (let depth = 0; depth < maxDepth; depth++) {
    const entries = (await entriesOf(at)).filter((entry) => !entry.name.startsWith("."));
    const [only, ...others] = entries.filter((entry) => entry.isDirectory());
    if (isModelFolder(entries) || only === undefined || others.length > 0) return isModelFolder(entries) ? at : folder;
    at = join(at, only.name);
  }
  return folder;
}

/**
 * The versions of one model in a repository of folders: `REPOSITORY/NAME` is a model folder itself (version 1), or holds one a version.
 * Errors: NOT_FOUND (no such folder, or none with a model in it), INVALID_INPUT (a name that would leave the repository).
 */
export async function findVersions(repository: string, name: string): Promise<ModelSource[]> {
  if (name === "" || name.startsWith(".") || /[/\\\0]/.test(name)) {
    throw new EspalierError("INVALID_INPUT", `"${name.slice(0, 100)}" is not a name of a model`);
  }
  const folder = join(repository, name);
  const entries = await entriesOf(folder);
  if (isModelFolder(entries)) return [{ name, version: "1", folder }];
  const sources: ModelSource[] = [];
  for (const version of await subfolders(folder, entries)) {
    const at = join(folder, version);
    if (isModelFolder(await entriesOf(at))) sources.push({ name, version, folder: at });
  }
  if (sources.length > 0) return sources;
  throw new EspalierError("NOT_FOUND", `There is no model in ${folder}: neither signature.json nor MLmodel`, {
    at: folder,
    hint: "A repository holds NAME/{signature.json, ...} or NAME/VERSION/{signature.json, ...}.",
  });
}

/** Names of the models in a repository of folders. Errors: NOT_FOUND. */
export async function findModels(repository: string): Promise<string[]> {
  return subfolders(repository, await entriesOf(repository));
}

/** Names of folders, and of links to folders (Kubernetes mounts by links); hidden ones are left out. */
async function subfolders(parent: string, entries: readonly Dirent[]): Promise<string[]> {
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const isFolder = entry.isSymbolicLink()
      ? await stat(join(parent, entry.name)).then(
          (target) => target.isDirectory(),
          () => false,
        )
      : entry.isDirectory();
    if (isFolder) names.push(entry.name);
  }
  return names.sort();
}

/** Bytes of all files at and below a folder, which a model takes at least when it is loaded. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
