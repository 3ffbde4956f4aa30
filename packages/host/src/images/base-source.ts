import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  type BaseImage,
  EspalierError,
  type ImagePlatform,
  type ImageReference,
  type ImageRegistry,
  isEspalierError,
  openBaseImage,
  parseImageReference,
} from "@espalier/core";

export interface RegistryAccess {
  /** true: no TLS, also beyond loopback. */
  plainHttp?: boolean;
  /** Used for this call and kept nowhere; left out: what the user has signed in with. */
  credentials?: { username: string; password: string };
}

/** A registry by its host's name, as `--push` and `--base` say it. */
export async function openRegistry(registry: string, access: RegistryAccess = {}): Promise<ImageRegistry> {
  const { createOciImageRegistry } = await import("@espalier/open-source");
  return createOciImageRegistry(
    { registry, ...(access.plainHttp === undefined ? {} : { plain_http: access.plainHttp }) },
    access.credentials === undefined ? {} : { credentials: access.credentials },
  );
}

/** A folder that is one OCI layout. */
export async function openLayout(folder: string): Promise<ImageRegistry> {
  const { createOciLayout } = await import("@espalier/embedded");
  return createOciLayout(folder);
}

/** Where a base is: on this machine in a folder, or in a registry. */
export type BaseSource =
  | { kind: "layout"; name: string; folder: string; reference: string | undefined }
  | { kind: "registry"; name: string; image: ImageReference };

/** `oci:FOLDER[:TAG]`, a path of an OCI layout, or an image's name. NOT_FOUND: there is no such folder. INVALID_INPUT: it is nothing of these. */
export function parseBase(text: string, folder: string): BaseSource {
  const isMarked = text.startsWith("oci:");
  if (!isMarked && !/^\.{0,2}\//.test(text)) return { kind: "registry", name: text, image: parseImageReference(text) };
  const place = isMarked ? text.slice(4) : text;
  const colon = place.lastIndexOf(":");
  const hasTag = colon > 0 && !place.slice(colon).includes("/");
  const layout = resolve(folder, hasTag ? place.slice(0, colon) : place);
  if (!existsSync(resolve(layout, "index.json"))) {
    throw new EspalierError("NOT_FOUND", `There is no OCI image layout in ${layout}`, {
      at: "--base",
      hint: "`skopeo copy docker://registry/image:tag oci:FOLDER:tag` makes one; or name an image in a registry.",
    });
  }
  const reference = hasTag ? place.slice(colon + 1) : undefined;
  // The folder itself means nothing elsewhere; its name tells people what it was.
  return {
    kind: "layout",
    name: `oci:${layout.split("/").at(-1)}${reference ? `:${reference}` : ""}`,
    folder: layout,
    reference,
  };
}

/** Opens a base for a platform. `target`: where it will be pushed, from whose other repositories layers can be mounted. */
export async function openBase(
  source: BaseSource,
  platform: ImagePlatform,
  options: { access?: RegistryAccess; targetRegistry?: string },
): Promise<BaseImage> {
  if (source.kind === "layout") {
    const { onlyImageIn } = await import("@espalier/embedded");
    const reference = source.reference ?? (await onlyImageIn(source.folder));
    const place = { name: source.name, repository: "base", reference };
    return openBaseImage(await openLayout(source.folder), place, platform);
  }
  const { registry, repository, tag, digest } = source.image;
  const reference = digest ?? tag ?? "latest";
  const isSameRegistry = registry === options.targetRegistry;
  const opened = await openRegistry(registry, isSameRegistry ? options.access : withoutCredentials(options.access));
  const place = { name: source.name, repository, reference };
  try {
    return await openBaseImage(opened, place, platform, isSameRegistry ? repository : undefined);
  } catch (error) {
    if (!isEspalierError(error) || error.code !== "NOT_FOUND") throw error;
    throw new EspalierError("NOT_FOUND", `There is no base image ${source.name}: ${error.message}`, {
      at: "--base",
      cause: error,
      hint: `\`skopeo list-tags docker://${registry}/${repository}\` shows those there are.`,
    });
  }
}

/** Credentials are for the registry that is pushed to. */
function withoutCredentials(access: RegistryAccess = {}): RegistryAccess {
  return access.plainHttp === undefined ? {} : { plainHttp: access.plainHttp };
}
