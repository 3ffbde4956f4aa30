import { join } from "node:path";
import type { DatasetVersion } from "@espalier/contract";
import { type ArtifactRef, EspalierError, type Json } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { checkOut } from "../datasets/check-out.ts";
import { diffDatasets } from "../datasets/diff-datasets.ts";
import { projectPath } from "../datasets/project-path.ts";
import { describeTable, tableSource, withDuckDb } from "../datasets/tables.ts";
import type { DatasetVersionRow } from "../db/queries/datasets.ts";
import type { HandlersOf, NamesUnder } from "../http/handler.ts";
import { actorOf } from "./actor.ts";

export function datasetHandlers(plane: ControlPlane): HandlersOf<NamesUnder<"datasets">> {
  const { record, project } = plane;
  const versionOf = async (name: string, version: number | "latest"): Promise<DatasetVersionRow> => {
    const row = await record.datasets.get(name, version);
    if (row !== undefined) return row;
    throw new EspalierError("NOT_FOUND", `There is no version ${version} of the dataset ${name}`, {
      hint: "`espalier dataset list` shows those there are.",
    });
  };
  return {
    "datasets.list": ({ query }) => record.datasets.list(query),
    "datasets.log": async (input) => {
      const { name, path, description, tags } = input.body;
      const artifact = await takeIn(plane, path);
      const source = tableSource(join(project.directory, projectPath(path, "read")), artifact.type, path);
      const shape = source === undefined ? undefined : await withDuckDb((database) => describeTable(database, source));
      const row = await record.datasets.log({
        name,
        digest: artifact.digest,
        artifact,
        source: path,
        createdBy: actorOf(input),
        ...(shape === undefined ? {} : { rows: shape.rows, schema: JSON.parse(JSON.stringify(shape.columns)) as Json }),
        ...(description === undefined ? {} : { description }),
        ...(tags === undefined ? {} : { tags }),
      });
      await record.lineage.addEdges([
        { from: `source:${path}`, to: `dataset:${name}@${row.version}`, relation: "logged_as" },
      ]);
      return { ...shown(row), created: row.created };
    },
    "datasets.versions": async ({ params, query }) => {
      const page = await record.datasets.versions(params.name, query);
      if (page.items.length === 0 && query.cursor === undefined) await versionOf(params.name, "latest");
      return { ...page, items: page.items.map(shown) };
    },
    "datasets.show": async ({ params }) => shown(await versionOf(params.name, numberOf(params.version))),
    "datasets.diff": async ({ params, query }) =>
      diffDatasets(
        plane,
        await versionOf(params.name, query.from),
        await versionOf(params.name, query.to),
        query.key?.split(",").filter((column) => column !== ""),
      ),
    "datasets.checkout": async ({ params, body }) => {
      const row = await versionOf(params.name, numberOf(params.version));
      if (row.artifact === undefined) {
        throw new EspalierError(
          "UNSUPPORTED",
          `${row.name}@${row.version} is registered by reference: the store has no copy of it`,
        );
      }
      await checkOut(plane, row.artifact, join(project.directory, projectPath(body.path, "write")), body);
      return { path: body.path, version: row.version, artifact: row.artifact };
    },
  };
}

async function takeIn({ project, files, artifacts }: ControlPlane, path: string): Promise<ArtifactRef> {
  const absolute = join(project.directory, projectPath(path, "read"));
  const found = await files.stat(absolute);
  if (found === undefined) {
    throw new EspalierError("NOT_FOUND", `There is no ${path} in the project`, {
      at: "body.path",
      hint: "The path is relative to the project's folder.",
    });
  }
  if (found.kind === "folder") return artifacts.putTree(absolute, "tree");
  return artifacts.putFile(absolute, path.endsWith(".parquet") ? "parquet" : "file");
}

function numberOf(version: string): number | "latest" {
  return version === "latest" ? version : Number(version);
}

function shown(row: DatasetVersionRow): DatasetVersion {
  const columns = Array.isArray(row.schema) ? (row.schema as unknown as DatasetVersion["columns"]) : undefined;
  return {
    name: row.name,
    version: row.version,
    artifact: row.artifact ?? { type: "file", digest: row.digest, size: 0 },
    createdAt: row.createdAt,
    createdBy: row.createdBy,
    tags: { ...row.tags },
    ...(row.runId === undefined ? {} : { runId: row.runId }),
    ...(row.source === undefined ? {} : { source: row.source }),
    ...(row.rows === undefined ? {} : { rows: row.rows }),
    ...(columns === undefined ? {} : { columns }),
  };
}
