import { realpathSync, statSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

interface Load {
  revision: string;
  /** Folder with a separator behind it. */
  project: string;
  /** What the module and its imports were made of: state by path. */
  files: Map<string, string>;
}

const loads = new Map<string, Load>();
const loadsByRevision = new Map<string, Load>();
let revisions = 0;
let hooked = false;

/**
 * Imports a module of the project. In a process that lives on, a change of the module, or of anything of the project that it imports, is
 * seen at the next import: Node alone keeps a module for as long as it runs.
 */
export async function importProjectModule(projectDirectory: string, path: string): Promise<Record<string, unknown>> {
  hook();
  // URLs of modules are real paths, whatever links lead to the project.
  const file = realpathSync(path);
  const known = loads.get(file);
  const load = known !== undefined && isUnchanged(known) ? known : begin(realpathSync(projectDirectory), file);
  try {
    return await import(`${pathToFileURL(file).href}?revision=${load.revision}`);
  } catch (error) {
    // It may have failed for a file that is not there yet, and that nothing here watches.
    loads.delete(file);
    throw error;
  }
}

function begin(project: string, file: string): Load {
  const load: Load = {
    revision: String(++revisions),
    project: join(project, sep),
    files: new Map([[file, stateOf(file)]]),
  };
  loads.set(file, load);
  loadsByRevision.set(load.revision, load);
  return load;
}

function isUnchanged(load: Load): boolean {
  return [...load.files].every(([file, state]) => stateOf(file) === state);
}

function stateOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? "gone" : `${found.mtimeMs} ${found.size}`;
}

/** A module's imports get its revision, so that a new revision is a new graph; packages are left alone. */
function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const revision = context.parentURL === undefined ? null : /[?]revision=(\d+)$/.exec(context.parentURL)?.[1];
      const load = loadsByRevision.get(revision ?? "");
      if (load === undefined || !resolved.url.startsWith("file:") || resolved.url.includes("?")) return resolved;
      const file = fileURLToPath(resolved.url);
      if (!file.startsWith(load.project) || file.slice(load.project.length).split(sep).includes("node_modules")) {
        return resolved;
      }
      if (!load.files.has(file)) load.files.set(file, stateOf(file));
      return { ...resolved, url: `${resolved.url}?revision=${load.revision}` };
    },
  });
}
