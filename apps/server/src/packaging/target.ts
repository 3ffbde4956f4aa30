import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { EspalierError, type ImageRegistry, isTag, parseImageReference } from "@espalier/core";
import { openLayout, openRegistry, type RegistryAccess } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";

export interface TargetOptions {
  version: ModelVersionRow;
  /** host[:port]/repository[:tag]. */
  push?: string | undefined;
  /** A folder, from the project's. */
  layout?: string | undefined;
  repository?: string | undefined;
  tag?: string | undefined;
  plainHttp?: boolean | undefined;
  credentials?: { username: string; password: string } | undefined;
}

/** Where an image goes. */
export interface Target {
  registry: ImageRegistry;
  /** The registry's host; undefined where it is a folder, or the stack's. */
  host: string | undefined;
  repository: string;
  tag: string;
  /** For people and documents: without tag and digest. */
  name: string;
  access: RegistryAccess;
}

/** INVALID_INPUT when it can not be a place for an image. Reaches no network. */
export async function openTarget({ stack, project }: ControlPlane, options: TargetOptions): Promise<Target> {
  const { version, push, layout } = options;
  const access: RegistryAccess = {
    ...(options.plainHttp === undefined ? {} : { plainHttp: options.plainHttp }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  };
  const tag = options.tag ?? String(version.version);
  if (!isTag(tag)) {
    throw new EspalierError("INVALID_INPUT", `${JSON.stringify(tag)} can not be a tag`, {
      hint: "A tag has letters, digits, '_', '.' and '-'.",
    });
  }
  if (push !== undefined && layout !== undefined) {
    throw new EspalierError("INVALID_INPUT", "An image goes to a registry or into a folder, not to both at once", {
      hint: "Give --push or --output; the second time nothing is built anew.",
    });
  }
  if (push !== undefined) {
    const { registry: host, repository, tag: named, digest } = parseImageReference(push);
    if (digest !== undefined) {
      throw new EspalierError("INVALID_INPUT", `"${push}" names a digest, which only the image itself decides`, {
        hint: "Leave it out.",
      });
    }
    const registry = await openRegistry(host, access);
    return { registry, host, repository, tag: named ?? tag, name: `${host}/${repository}`, access };
  }
  const repository = options.repository ?? repositoryName(version.name);
  if (layout !== undefined) {
    const folder = resolve(project.directory, layout);
    await requireLayout(folder);
    return { registry: await openLayout(folder), host: undefined, repository, tag, name: repository, access };
  }
  return { registry: stack.packages, host: undefined, repository, tag, name: repository, access };
}

/** A folder with something else in it is not for us to fill. */
async function requireLayout(folder: string): Promise<void> {
  const names: string[] = await readdir(folder).catch((error: unknown) => {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  });
  if (names.length === 0 || names.includes("blobs")) return;
  throw new EspalierError("INVALID_INPUT", `${folder} has something else in it than an OCI layout`, {
    at: folder,
    hint: "Name a new folder, an empty one, or one that holds images already.",
  });
}

/** Models may be called as no repository can. */
function repositoryName(model: string): string {
  const name = model
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return name === "" ? "model" : name;
}
