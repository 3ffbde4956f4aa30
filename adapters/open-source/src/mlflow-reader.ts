import {
  type CallContext,
  EspalierError,
  isEspalierError,
  type SourceModel,
  type SourceRun,
  type TrackedExperiment,
  type TrackedFile,
  type TrackedModel,
  type TrackedPoint,
  type TrackedSource,
} from "@espalier/core";
import { z } from "zod";
import { encodePath, type MlflowApi, type MlflowObject } from "./mlflow-client.ts";
import { proxyPath } from "./mlflow-homes.ts";
import { quoted } from "./mlflow-limits.ts";
import {
  experimentSchema,
  loggedModelSchema,
  metricSchema,
  registeredModelSchema,
  runSchema,
  toLoggedModel,
  toRegisteredModel,
  toRun,
  toVersion,
  versionSchema,
} from "./mlflow-shapes.ts";

export type MlflowReader = TrackedSource;

const pageOf = <Item extends z.ZodType>(name: string, item: Item) =>
  z.looseObject({ [name]: z.array(item).default([]), next_page_token: z.string().optional() });
const runsAPage = 200;
const pointsAPage = 5000;

/** Reads everything of an MLflow server by its REST. Errors: UNSUPPORTED (no MLflow server), UNAUTHENTICATED, UNREACHABLE. */
export async function createMlflowReader(api: MlflowApi, context?: CallContext): Promise<MlflowReader> {
  // A wrong address or wrong credentials are told before anything is written.
  await api.send("POST", "mlflow/experiments/search", { max_results: 1 }, context);
  const version = await api.version(context);

  async function* pages<Item extends z.ZodType>(
    name: string,
    item: Item,
    ask: (token: string | undefined) => Promise<MlflowObject>,
  ): AsyncGenerator<z.infer<Item>> {
    const schema = pageOf(name, item);
    let token: string | undefined;
    do {
      const answer = schema.parse(await ask(token)) as Record<string, unknown>;
      yield* answer[name] as z.infer<Item>[];
      token = (answer["next_page_token"] as string | undefined) || undefined;
    } while (token !== undefined);
  }
  const search = <Item extends z.ZodType>(path: string, name: string, item: Item, body: object) =>
    pages(name, item, (token) =>
      api.send("POST", path, { ...body, ...(token === undefined ? {} : { page_token: token }) }, context),
    );
  const list = <Item extends z.ZodType>(
    path: string,
    name: string,
    item: Item,
    query: Readonly<Record<string, string | number>>,
  ) => pages(name, item, (token) => api.get(path, { ...query, page_token: token }, context));

  const losses = [
    "the server tells of no deleted logged models, and of a logged model's metrics only the latest of each",
    "traces and assessments are not imported",
  ];

  async function* experiments(): AsyncGenerator<TrackedExperiment> {
    yield* search("mlflow/experiments/search", "experiments", experimentSchema, { view_type: "ALL", max_results: 500 });
  }

  async function* points({ run, metricKeys }: SourceRun): AsyncGenerator<TrackedPoint[]> {
    for (const key of metricKeys) {
      const query = { run_id: run.id, metric_key: key, max_results: pointsAPage };
      let batch: TrackedPoint[] = [];
      for await (const point of list("mlflow/metrics/get-history", "metrics", metricSchema, query)) {
        batch.push({ key, value: point.value, step: point.step, timestamp: point.timestamp });
        if (batch.length < pointsAPage) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    }
  }

  async function* loggedModels(experimentId: string): AsyncGenerator<SourceModel> {
    const body = { experiment_ids: [experimentId], max_results: 50 };
    try {
      for await (const model of search("mlflow/logged-models/search", "models", loggedModelSchema, body)) {
        yield { model: toLoggedModel(model), artifactUri: model.info.artifact_uri };
      }
    } catch (error) {
      // MLflow 2 has no logged models.
      if (!isEspalierError(error) || error.code !== "UNSUPPORTED") throw error;
    }
  }

  return {
    identity: api.uri,
    description: `MLflow server ${version}`,
    losses: () => losses,
    experiments,
    async *runs(experimentId) {
      const body = { experiment_ids: [experimentId], run_view_type: "ALL", max_results: runsAPage };
      for await (const run of search("mlflow/runs/search", "runs", runSchema, body)) yield toRun(run);
    },
    points,
    files: (owner) => filesOf(api, owner, context),
    loggedModels,
    async *registeredModels() {
      const seen = new Set<string>();
      // Prompts are models too, and a search tells of them only when it is asked.
      for (const filter of ["", "tags.`mlflow.prompt.is_prompt` = 'true'"]) {
        const query = { max_results: 100, ...(filter === "" ? {} : { filter }) };
        for await (const model of list(
          "mlflow/registered-models/search",
          "registered_models",
          registeredModelSchema,
          query,
        )) {
          if (!seen.has(model.name)) yield toRegisteredModel(model);
          seen.add(model.name);
        }
      }
    },
    async *versions(name) {
      const query = { filter: `name = ${quoted(name)}`, max_results: 200 };
      for await (const one of list("mlflow/model-versions/search", "model_versions", versionSchema, query)) {
        yield toVersion(one);
      }
    },
    close: async () => undefined,
  };
}

const entriesAnswer = z.object({
  files: z
    .array(z.object({ path: z.string(), is_dir: z.boolean().default(false), file_size: z.coerce.number().optional() }))
    .default([]),
  next_page_token: z.string().optional(),
});

/** Files behind the proxy by the proxy; those of another place by the server's own reading of it. */
async function* filesOf(
  api: MlflowApi,
  owner: SourceRun | SourceModel,
  context?: CallContext,
): AsyncGenerator<TrackedFile> {
  const place = owner.artifactUri.startsWith("mlflow-artifacts:")
    ? proxied(api, proxyPath(owner.artifactUri), context)
    : ofOwner(api, owner, context);
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of place.list(folder)) {
      if (entry.path.split("/").some((part) => part === ".." || part === "." || part === "")) {
        throw new EspalierError(
          "INVALID_DATA",
          `The MLflow server lists a file with the path ${JSON.stringify(entry.path)}`,
        );
      }
      if (entry.isFolder) folders.push(entry.path);
      else {
        const { path, size } = entry;
        yield { path, ...(size === undefined ? {} : { size }), open: async () => (await place.open(path)).body };
      }
    }
  }
}

interface Place {
  /** Paths from the owner's root. */
  list(folder: string): AsyncGenerator<{ path: string; isFolder: boolean; size: number | undefined }>;
  open(path: string): ReturnType<MlflowApi["download"]>;
}

function proxied(api: MlflowApi, root: string, context?: CallContext): Place {
  return {
    async *list(folder) {
      const path = folder === "" ? root : `${root}/${folder}`;
      const { files } = entriesAnswer.parse(await api.get("mlflow-artifacts/artifacts", { path }, context));
      for (const { path: name, is_dir: isFolder, file_size: size } of files) {
        yield { path: folder === "" ? name : `${folder}/${name}`, isFolder, size };
      }
    },
    open: (path) => api.download(`/api/2.0/mlflow-artifacts/artifacts/${encodePath(`${root}/${path}`)}`, context),
  };
}

function ofOwner(api: MlflowApi, owner: SourceRun | SourceModel, context?: CallContext): Place {
  const isRun = "run" in owner;
  const id = isRun ? owner.run.id : (owner.model satisfies TrackedModel).id;
  const listing = isRun
    ? "mlflow/artifacts/list"
    : `mlflow/logged-models/${encodeURIComponent(id)}/artifacts/directories`;
  const field = isRun ? "path" : "artifact_directory_path";
  return {
    async *list(folder) {
      let token: string | undefined;
      do {
        const query = {
          ...(isRun ? { run_id: id } : {}),
          ...(folder === "" ? {} : { [field]: folder }),
          page_token: token,
        };
        const answer = entriesAnswer.parse(await api.get(listing, query, context));
        for (const { path, is_dir: isFolder, file_size: size } of answer.files) yield { path, isFolder, size };
        token = answer.next_page_token || undefined;
      } while (token !== undefined);
    },
    open: (path) =>
      api.download(
        isRun
          ? `/get-artifact?${new URLSearchParams({ run_uuid: id, run_id: id, path })}`
          : `/ajax-api/2.0/mlflow/logged-models/${encodeURIComponent(id)}/artifacts/files?${new URLSearchParams({ artifact_file_path: path })}`,
        context,
      ),
  };
}
