import { join, resolve } from "node:path";
import { EspalierError, toEspalierError, ulid } from "@espalier/core";
import { loadMlflowParts } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { TransferDirection, TransferRow } from "../db/queries/transfer/transfers.ts";
import { createArtifactFolders } from "../mlflow/artifacts/folders.ts";
import { countExported } from "./count-exported.ts";
import { openExportFolder } from "./export-folder.ts";
import { exportMlflow } from "./export-mlflow.ts";
import { exportProject } from "./export-project.ts";
import type { ExportOptions } from "./export-target.ts";
import { type ImportOptions, importMlflow } from "./import-mlflow.ts";
import { refuseItself } from "./refuse-itself.ts";
import { openTrackedSource, type SourceOptions } from "./sources/open-source-of.ts";
import { noProgress, type TransferContext, type TransferProgress, type TransferResult } from "./transfer-port.ts";

export interface ImportRequest extends ImportOptions, Pick<SourceOptions, "source" | "credentials"> {
  artifactRoot?: string | undefined;
}

export interface ExportRequest extends ExportOptions, Pick<SourceOptions, "credentials"> {
  target: string;
  experimentPrefix: string;
}

/** A row, with what this process knows of its progress. `active`: it goes on here and now. */
export interface ShownTransfer extends TransferRow {
  active: boolean;
  progress?: TransferProgress;
}

/** Imports and exports of one control plane, at most one at a time a peer. */
export interface Transfers {
  /** Errors of opening the source at once; what happens later is told by `get`. CONFLICT while one of the peer is under way. */
  import(request: ImportRequest, actor: string): Promise<ShownTransfer>;
  export(request: ExportRequest, actor: string): Promise<ShownTransfer>;
  /** Everything, into a folder of the control plane's machine. CONFLICT: the folder holds something else. */
  exportProject(request: { folder: string }, actor: string): Promise<ShownTransfer>;
  show(row: TransferRow): ShownTransfer;
  get(id: string): Promise<ShownTransfer>;
  follow(id: string, signal: AbortSignal): AsyncGenerator<ShownTransfer>;
}

interface Active {
  id: string;
  progress: TransferProgress;
}

type Work = (context: TransferContext) => Promise<TransferResult>;

export function createTransfers(plane: ControlPlane): Transfers {
  const { record } = plane;
  const active = new Map<string, Active>();
  const changes = new EventTarget();
  const keyOf = (direction: TransferDirection, peer: string): string => `${direction} ${peer}`;
  const show = (row: TransferRow): ShownTransfer => {
    const under = active.get(keyOf(row.direction, row.peer));
    const isActive = under?.id === row.id;
    return { ...row, active: isActive, ...(isActive ? { progress: { ...under.progress } } : {}) };
  };
  const get = async (id: string): Promise<ShownTransfer> => {
    const row = await record.transfers.get(id);
    if (row !== undefined) return show(row);
    throw new EspalierError("NOT_FOUND", `There is no transfer ${id}`, { hint: "`espalier import list` shows them." });
  };

  async function begin(
    direction: TransferDirection,
    peer: string,
    options: Readonly<Record<string, unknown>>,
    actor: string,
    work: Work,
  ): Promise<ShownTransfer> {
    const key = keyOf(direction, peer);
    const under = active.get(key);
    if (under !== undefined) {
      throw new EspalierError("CONFLICT", `An ${direction} of ${peer} is under way: ${under.id}`, {
        hint: "Wait for it.",
      });
    }
    const id = ulid();
    const progress = noProgress();
    active.set(key, { id, progress });
    try {
      const row = await record.transfers.start({ id, direction, peer, options, createdBy: actor });
      void drive(row, progress, work, () => active.delete(key));
      return show(row);
    } catch (error) {
      active.delete(key);
      throw error;
    }
  }

  async function drive(row: TransferRow, progress: TransferProgress, work: Work, ended: () => void): Promise<void> {
    const { id, direction, peer } = row;
    const changed = (): void => void changes.dispatchEvent(new Event(id));
    try {
      const result = await work({
        record,
        artifacts: plane.artifacts,
        spoolDirectory: join(plane.project.stateDirectory, "spool"),
        peer: { direction, peer },
        id,
        actor: row.createdBy,
        signal: plane.closing,
        logger: plane.logger,
        progress,
        changed,
      });
      const state = result.counts.every((one) => one.equal) ? "done" : "unequal";
      await record.transfers.finish(id, { state, result: { ...result } });
    } catch (thrown) {
      // A control plane that closes leaves it running on record: the same command goes on.
      if (plane.closing.aborted) return;
      const error = toEspalierError(thrown);
      if (error.code === "INTERNAL") plane.logger.error({ err: thrown, transfer: id }, `the ${direction} failed`);
      else plane.logger.info({ code: error.code, message: error.message, transfer: id }, `the ${direction} failed`);
      await record.transfers
        .finish(id, { state: "failed", error: { ...error.toJSON() } })
        .catch((failure: unknown) =>
          plane.logger.error({ err: failure, transfer: id }, "its end could not be recorded"),
        );
    } finally {
      ended();
      changed();
    }
  }

  return {
    show,
    get,
    import: async ({ source: given, artifactRoot, credentials, ...options }, actor) => {
      if (/^https?:/.test(given)) await refuseItself(plane, given);
      const absolute = (path: string): string => resolve(plane.project.directory, path);
      const source = await openTrackedSource({
        source: /^[a-z][a-z0-9+.-]+:/i.test(given) ? given : absolute(given),
        artifacts: artifactRoot === undefined ? undefined : absolute(artifactRoot),
        credentials,
        signal: plane.closing,
      });
      return begin("import", source.identity, options, actor, async (context) => {
        try {
          return await importMlflow(context, source, options);
        } finally {
          await source.close();
        }
      });
    },
    export: async ({ target, credentials, ...options }, actor) => {
      const parts = await loadMlflowParts();
      const api = parts.connectMlflow({
        uri: target,
        ...(credentials === undefined ? {} : { credentials: async () => credentials }),
      });
      const { experimentPrefix } = options;
      const project = plane.project.name;
      // The same ties as the mirrors have, so that an export and a mirror to one server make one thing of one.
      const tracker = parts.createMlflowTrackerMirror(api, { project, experimentPrefix, files: options.artifacts });
      const registry = parts.createMlflowRegistryMirror(api, { project, files: options.artifacts });
      await refuseItself(plane, target);
      await tracker.check({ signal: plane.closing });
      return begin("export", api.uri, options, actor, async (context) =>
        exportMlflow(
          context,
          {
            tracker,
            registry,
            folders: createArtifactFolders(plane),
            count: async () =>
              countExported(context, await parts.createMlflowReader(api, { signal: plane.closing }), options.artifacts),
            losses: parts.exportLosses,
          },
          options,
        ),
      );
    },
    exportProject: async ({ folder: given }, actor) => {
      const folder = resolve(plane.project.directory, given);
      const { id } = await openExportFolder(folder, plane.project.name);
      // The ledger goes with the folder's own id: one that was removed and made anew begins anew.
      return begin("export", `folder:${id}`, { folder }, actor, (context) => exportProject(plane, context, folder));
    },
    follow: async function* (id, signal) {
      for (;;) {
        const changed = Promise.withResolvers<void>();
        const wake = (): void => changed.resolve();
        changes.addEventListener(id, wake, { once: true });
        signal.addEventListener("abort", wake, { once: true });
        try {
          const shown = await get(id);
          yield shown;
          if (!shown.active || signal.aborted) return;
          await changed.promise;
        } finally {
          changes.removeEventListener(id, wake);
          signal.removeEventListener("abort", wake);
        }
      }
    },
  };
}
