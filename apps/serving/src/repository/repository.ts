import { EspalierError, isEspalierError, toEspalierError } from "@espalier/core";
import { createServedModel, type ModelSource, type OpenedModel, type ServedModel } from "./served-model.ts";
import { createStatistics, type ModelStatistics, type StatisticsView } from "./statistics.ts";
import { compareVersions } from "./versions.ts";

/** Triton's words. LOADING: for the first time; a version that is loaded again stays READY meanwhile. */
export type ModelState = "LOADING" | "READY" | "UNLOADING" | "UNAVAILABLE";

export interface ModelStatus extends ModelSource {
  state: ModelState;
  /** Why it is not ready, or why it could not be loaded again; empty otherwise. */
  reason: string;
  statistics: StatisticsView;
}

export interface RepositoryOptions {
  /** Opens a model folder; its errors are given to who asked and become the version's reason. */
  open(source: ModelSource, statistics: ModelStatistics): Promise<OpenedModel>;
  /** Further names of a model. */
  aliases?: ReadonlyMap<string, string>;
  /** True until the models that the server begins with are known; what is not here may yet come. */
  isLoading?(): boolean;
}

/** The models of one server, several versions each. Every protocol finds them here. */
export interface ModelRepository {
  /** Every version that was ever to be loaded, in order of name and version. */
  index(): ModelStatus[];
  /**
   * A ready version: the newest one when no version is named, the only model when no name is. Errors: NOT_FOUND (unknown or unloaded),
   * UNAVAILABLE (loading, or it could not be loaded), INVALID_INPUT (no name where there are several models).
   */
  find(name?: string, version?: string): ServedModel;
  /** The newest ready version as `find` gives it, or undefined where that throws. */
  peek(name?: string): ServedModel | undefined;
  /** Status of one version, or of all versions of a model. Errors: NOT_FOUND. */
  status(name: string, version?: string): ModelStatus[];
  /**
   * Loads a version, or loads it again from its folder: the new one takes over at one instant, what the old one was given is answered, then
   * it is released. When that fails, the old one stays and goes on. Errors: those of `open`.
   */
  load(source: ModelSource): Promise<void>;
  /** Takes no more requests, answers what it has, then releases. Without a version, all of them. Errors: NOT_FOUND. */
  unload(name: string, version?: string): Promise<void>;
  /** As `unload`, and the model is forgotten. */
  remove(name: string): Promise<void>;
  /** Releases all, after their requests. */
  close(): Promise<void>;
}

interface Entry {
  source: ModelSource;
  state: ModelState;
  reason: string;
  current: ServedModel | undefined;
  statistics: ModelStatistics;
  /** Loads and unloads of one version come one after the other. */
  work: Promise<void>;
}

export function createRepository(options: RepositoryOptions): ModelRepository {
  const models = new Map<string, Map<string, Entry>>();
  const aliases = options.aliases ?? new Map<string, string>();

  function refuseWhileLoading(): void {
    if (options.isLoading?.() === true) throw new EspalierError("UNAVAILABLE", "The server's models are loading");
  }

  function versionsOf(name: string): Map<string, Entry> {
    const versions = models.get(name) ?? models.get(aliases.get(name) ?? "");
    if (versions !== undefined) return versions;
    refuseWhileLoading();
    const known = [...models.keys(), ...aliases.keys()];
    const shown = known.length === 0 ? "none" : `only ${known.slice(0, 10).join(", ")}`;
    throw new EspalierError("NOT_FOUND", `There is no model "${name.slice(0, 100)}" here, ${shown}`);
  }

  function entryOf(name: string, version: string): Entry {
    const versions = versionsOf(name);
    const entry = versions.get(version);
    if (entry !== undefined) return entry;
    const known = [...versions.keys()].join(", ");
    throw new EspalierError("NOT_FOUND", `Model "${name}" has version ${known} here, not ${version.slice(0, 100)}`);
  }

  function onlyName(): string {
    const [name, ...others] = models.keys();
    if (name === undefined || others.length > 0) refuseWhileLoading();
    if (name === undefined) throw new EspalierError("NOT_FOUND", "No model is loaded here");
    if (others.length > 0) {
      throw new EspalierError(
        "INVALID_INPUT",
        `This server has ${models.size} models, and the request's path names none`,
        { hint: "Ask at /v2/models/NAME/infer or /v1/models/NAME:predict; GET /v1/models lists the names." },
      );
    }
    return name;
  }

  function newestOf(versions: ReadonlyMap<string, Entry>): Entry {
    let newest: Entry | undefined;
    for (const entry of versions.values()) {
      if (newest === undefined) newest = entry;
      else if ((entry.current === undefined) !== (newest.current === undefined)) {
        if (entry.current !== undefined) newest = entry;
      } else if (compareVersions(entry.source.version, newest.source.version) > 0) newest = entry;
    }
    return newest as Entry;
  }

  function find(name: string | undefined, version: string | undefined): ServedModel {
    const wanted = name ?? onlyName();
    const entry = version === undefined ? newestOf(versionsOf(wanted)) : entryOf(wanted, version);
    if (entry.current !== undefined) return entry.current;
    throw notReady(entry);
  }

  function peek(name: string | undefined): ServedModel | undefined {
    const wanted = name ?? (models.size === 1 ? models.keys().next().value : undefined);
    const versions = wanted === undefined ? undefined : (models.get(wanted) ?? models.get(aliases.get(wanted) ?? ""));
    return versions === undefined ? undefined : newestOf(versions).current;
  }

  function statusOf({ source, state, reason, statistics }: Entry): ModelStatus {
    return { ...source, state, reason, statistics: statistics.view() };
  }

  /** Runs after what is under way for this version, whether that succeeds or not. */
  function inTurn(entry: Entry, action: () => Promise<void>): Promise<void> {
    const result = entry.work.then(action);
    entry.work = result.catch(() => undefined);
    return result;
  }

  async function open(entry: Entry, source: ModelSource): Promise<void> {
    if (entry.current === undefined) entry.state = "LOADING";
    let opened: OpenedModel;
    try {
      opened = await options.open(source, entry.statistics);
    } catch (error) {
      const reason = isEspalierError(error) ? error.message : toEspalierError(error).message;
      if (entry.current === undefined) entry.state = "UNAVAILABLE";
      entry.reason = entry.current === undefined ? reason : `loading it again failed, the old one goes on: ${reason}`;
      throw error;
    }
    const old = entry.current;
    entry.source = source;
    entry.current = createServedModel(source, opened, entry.statistics);
    entry.state = "READY";
    entry.reason = "";
    if (old !== undefined) await release(old);
  }

  async function shut(entry: Entry): Promise<void> {
    const old = entry.current;
    entry.current = undefined;
    entry.reason = "unloaded";
    if (old !== undefined) {
      entry.state = "UNLOADING";
      await release(old);
    }
    entry.state = "UNAVAILABLE";
  }

  async function unload(name: string, version: string | undefined): Promise<void> {
    const entries = version === undefined ? [...versionsOf(name).values()] : [entryOf(name, version)];
    await Promise.all(entries.map((entry) => inTurn(entry, () => shut(entry))));
  }

  return {
    find,
    peek,
    unload,
    index: () =>
      [...models.values()]
        .flatMap((versions) => [...versions.values()].map(statusOf))
        .sort((left, right) => compareNames(left.name, right.name) || compareVersions(left.version, right.version)),
    status: (name, version) =>
      version === undefined ? [...versionsOf(name).values()].map(statusOf) : [statusOf(entryOf(name, version))],
    load(source) {
      const versions = models.get(source.name) ?? new Map<string, Entry>();
      models.set(source.name, versions);
      const entry = versions.get(source.version) ?? newEntry(source);
      versions.set(source.version, entry);
      return inTurn(entry, () => open(entry, source));
    },
    async remove(name) {
      await unload(name, undefined);
      models.delete(name);
    },
    async close() {
      const entries = [...models.values()].flatMap((versions) => [...versions.values()]);
      await Promise.all(entries.map((entry) => inTurn(entry, () => shut(entry))));
    },
  };
}

function newEntry(source: ModelSource): Entry {
  return {
    source,
    state: "LOADING",
    reason: "",
    current: undefined,
    statistics: createStatistics(),
    work: Promise.resolve(),
  };
}

async function release(old: ServedModel): Promise<void> {
  await old.idle();
  await old.capture?.close();
  await old.model.release();
}

function notReady({ source, state, reason }: Entry): EspalierError {
  const { name, version } = source;
  if (state === "LOADING") return new EspalierError("UNAVAILABLE", `Model "${name}" version ${version} is loading`);
  if (reason === "unloaded") {
    return new EspalierError("NOT_FOUND", `Model "${name}" version ${version} is not loaded`);
  }
  return new EspalierError("UNAVAILABLE", `Model "${name}" version ${version} could not be loaded: ${reason}`);
}

function compareNames(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
