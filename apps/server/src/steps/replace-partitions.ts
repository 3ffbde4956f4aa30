import {
  type ArtifactRef,
  EspalierError,
  isEspalierError,
  isTree,
  type RecordStep,
  recordBuiltins,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import type { DatasetVersionRow } from "../db/queries/datasets.ts";
import { requireInput, valueOutput } from "./step-values.ts";

/** A file beside the partitions, hidden from readers of tables. */
const markName = ".espalier-replaced";

/**
 * The new version holds the folders of the input and, of all other names, what the newest version has. Readers see one version or the
 * other. Two runs that replace at once take turns: the second builds on the version of the first. Called again, it comes to the same.
 */
export function replacePartitionsStep(plane: () => ControlPlane): RecordStep {
  return async (context) => {
    const { record, artifacts } = plane();
    const settings = recordBuiltins["replace-partitions"].with.parse(context.with);
    const data = requireInput(context, "data");
    const replaced = await partitionsOf(plane(), data);
    const log = (
      artifact: ArtifactRef,
      latest: DatasetVersionRow | undefined,
    ): Promise<DatasetVersionRow & { created: boolean }> =>
      record.datasets.log(
        {
          name: settings.name,
          digest: artifact.digest,
          artifact,
          source: data.reference,
          runId: context.run.id,
          attemptId: context.attemptId,
          createdBy: context.run.trigger.by,
          ...(settings.description === undefined ? {} : { description: settings.description }),
          ...(settings.tags === undefined ? {} : { tags: settings.tags }),
        },
        { after: latest?.version ?? 0 },
      );
    for (;;) {
      const latest = await record.datasets.get(settings.name, "latest");
      const artifact = latest === undefined ? data.ref : await merged(plane(), latest, data.ref);
      try {
        let version = await log(artifact, latest);
        if (!version.created && version.version !== latest?.version) {
          // An older version has this very content: a version of its own needs something of its own.
          version = await log(await marked(plane(), artifact, context.run.id), latest);
        }
        const value = {
          dataset: settings.name,
          version: version.version,
          digest: version.digest,
          source: data.reference,
          // A value is small: of very many partitions the first are told.
          replaced: replaced.slice(0, 200),
        };
        const result = await valueOutput(artifacts, "version", value);
        if (result.state === "waiting") return result;
        const held = version.artifact ?? artifact;
        return { ...result, outputs: { ...result.outputs, dataset: held } };
      } catch (error) {
        if (!isEspalierError(error) || error.code !== "CONFLICT") throw error;
      }
    }
  };
}

function merged({ artifacts }: ControlPlane, latest: DatasetVersionRow, data: ArtifactRef): Promise<ArtifactRef> {
  const base = latest.artifact;
  if (base !== undefined && isTree(base)) return artifacts.overlay(base, data, "tree");
  throw new EspalierError(
    "INVALID_INPUT",
    base === undefined
      ? `${latest.name}@${latest.version} is registered by reference: the store has no copy of it`
      : `${latest.name}@${latest.version} is one file and has no partitions`,
    { at: "with.name", hint: "Give the predictions a dataset of their own." },
  );
}

async function marked({ artifacts }: ControlPlane, artifact: ArtifactRef, runId: string): Promise<ArtifactRef> {
  const mark = await artifacts.putBytes(Buffer.from(`${runId}\n`), "file");
  return artifacts.overlay(artifact, await artifacts.compose({ [markName]: mark }, "tree"), "tree");
}

/** Folders at the top. A file there would be left behind by a later version that has fewer of them. */
async function partitionsOf({ artifacts }: ControlPlane, data: ReturnType<typeof requireInput>): Promise<string[]> {
  const level = (await artifacts.level(data.ref, "")) ?? [];
  const file = level.find(({ path }) => !path.endsWith("/"));
  if (file === undefined && level.length > 0) return level.map(({ path }) => path.slice(0, -1));
  throw new EspalierError(
    "INVALID_INPUT",
    file === undefined
      ? `${data.reference} is empty: it has no partitions`
      : `${data.reference} has the file ${file.path} at its top, where partitions are folders`,
    { at: "inputs.data", hint: "A `batch-predict` step makes them by `partition_by`." },
  );
}
