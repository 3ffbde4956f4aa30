import type { TrackedFile, TrackedRegisteredModel, TrackedVersion } from "../tracked.ts";
import type { CallContext } from "./artifact-store.ts";
import type { RemoteHome } from "./tracker-mirror.ts";

/** What a version is made of: files to carry, or a folder that is over there already. */
export type VersionContent =
  | { files: AsyncIterable<TrackedFile> | Iterable<TrackedFile> }
  | { home: RemoteHome; path: string };

/**
 * Milestone 8, register models: a registry elsewhere that shows ours. Models keep their names; versions are tied to ours by a tag, for a
 * registry counts them itself. Every method may be repeated. Errors as those of `TrackerMirror`.
 */
export interface RegistryMirror {
  /** Makes it or brings description and tags up to date. */
  putModel(model: TrackedRegisteredModel, context?: CallContext): Promise<void>;
  /** Makes it (with its content) or brings description, tags and stage up to date; answers its number there. */
  putVersion(
    version: TrackedVersion,
    content: () => Promise<VersionContent>,
    known?: string,
    context?: CallContext,
  ): Promise<string>;
  /** These and no others; numbers of versions over there. */
  setAliases(name: string, aliases: Readonly<Record<string, string>>, context?: CallContext): Promise<void>;
  /** Without a version the whole model. What is not there is success. */
  remove(name: string, version: string | undefined, context?: CallContext): Promise<void>;
  check(context?: CallContext): Promise<{ version: string }>;
}
