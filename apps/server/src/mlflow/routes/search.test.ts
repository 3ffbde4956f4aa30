import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import type { ControlPlane } from "../../control-plane.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { type RawFace, startRawFace } from "../testing/raw-face.ts";
import { searchRoutes } from "./search.ts";

const post = async (face: RawFace, path: string, body: object) => {
  const answer = await face.call("POST", `/api/2.0/mlflow/${path}`, body);
  expect(answer).toMatchObject({ status: 200 });
  return answer.body;
};

interface NewRun {
  experimentId: string;
  start?: number;
  metrics?: Record<string, number | string>;
  params?: Record<string, string>;
  tags?: Record<string, string>;
}

const pairs = (items: Record<string, unknown> = {}) => Object.entries(items).map(([key, value]) => ({ key, value }));

async function makeRun(face: RawFace, { experimentId, start = 1, metrics, params, tags }: NewRun): Promise<string> {
  const { run } = await post(face, "runs/create", { experiment_id: experimentId, start_time: start });
  const id: string = run.info.run_id;
  await post(face, "runs/log-batch", {
    run_id: id,
    metrics: pairs(metrics).map((one) => ({ ...one, timestamp: 5, step: 0 })),
    params: pairs(params),
    tags: pairs(tags),
  });
  return id;
}

const makeExperiment = async (face: RawFace, name: string = randomUUID()): Promise<string> =>
  (await post(face, "experiments/create", { name })).experiment_id;

// biome-ignore lint/suspicious/noExplicitAny: as the face's answers are.
const idsOf = (body: any): string[] => (body.runs ?? []).map((run: any) => run.info.run_id);

describeOnBoth("searches", await startPostgres(), (database) => {
  test("a run is found as it is read, whatever was logged to it", async () => {
    const face = await startRawFace(database);
    const experimentId = await makeExperiment(face);
    const id = await makeRun(face, {
      experimentId,
      start: 1_700_000_000_000,
      metrics: { a: 0.1, b: 1 / 3, "c d": "NaN", e: "Infinity", f: "-Infinity", g: -5e-324, h: 1e21, i: 7 },
      params: { "a/b": 'quoted "text" \\ \n', empty: "é😀" },
      tags: { t: "x".repeat(5000) },
    });
    await post(face, "runs/log-metric", {
      run_id: id,
      key: "far",
      value: 1,
      timestamp: "9223372036854775807",
      step: "-9223372036854775808",
    });
    const dataset = { name: 'n"', digest: "d", source_type: "local", source: "{}", schema: '{"a":1}', profile: "" };
    await post(face, "runs/log-inputs", {
      run_id: id,
      datasets: [
        { dataset, tags: [{ key: "mlflow.data.context", value: "train" }] },
        { dataset: { name: "bare", digest: "e", source_type: "s", source: "x" } },
      ],
      models: [{ model_id: "m-1" }],
    });
    const read = await face.call("GET", `/api/2.0/mlflow/runs/get?run_id=${id}`);
    const found = await post(face, "runs/search", { experiment_ids: [experimentId] });
    expect(found).toEqual({ runs: [read.body.run] });
    expect(found.runs[0].data.metrics).toHaveLength(9);
    expect(found.runs[0].inputs.dataset_inputs).toHaveLength(2);
    const bare = await makeRun(face, { experimentId });
    const bareRead = await face.call("GET", `/api/2.0/mlflow/runs/get?run_id=${bare}`);
    const filter = `run_id = '${bare}'`;
    expect(await post(face, "runs/search", { experiment_ids: [experimentId], filter })).toEqual({
      runs: [bareRead.body.run],
    });
  });

  test("filters, orders and pages; NaN and nothing come last in both directions", async () => {
    const face = await startRawFace(database);
    const experimentId = await makeExperiment(face);
    const make = (start: number, more: Partial<NewRun>) => makeRun(face, { experimentId, start, ...more });
    const a = await make(1, { metrics: { loss: 1 }, params: { model: "Tree" }, tags: { team: "red" } });
    const b = await make(2, { metrics: { loss: 2 }, params: { model: "tree" } });
    const c = await make(3, { metrics: { loss: "NaN" }, tags: { team: "blue" } });
    const d = await make(4, {});
    const e = await make(5, { metrics: { loss: 1 } });
    const find = async (filter: string, ...order: string[]) =>
      idsOf(await post(face, "runs/search", { experiment_ids: [experimentId], filter, order_by: order }));
    expect(await find("")).toEqual([e, d, c, b, a]);
    expect(await find("", "metrics.loss")).toEqual([e, a, b, c, d]);
    expect(await find("", "metrics.loss DESC", "start_time ASC")).toEqual([b, a, e, c, d]);
    expect(await find("metrics.loss < 2")).toEqual([e, a]);
    expect(await find("metrics.loss != 1")).toEqual([c, b]);
    expect(await find("params.model = 'tree'")).toEqual([b]);
    expect(await find("params.model ILIKE 'TR%'", "params.model")).toEqual([a, b]);
    expect(await find("tags.team != 'red'")).toEqual([c]);
    expect(await find("tags.team IS NULL AND metrics.loss > 0")).toEqual([e, b]);
    expect(await find(`attributes.run_id IN ('${a}', '${d}') AND status = 'RUNNING'`)).toEqual([d, a]);
    expect(await find("created >= 2.5 and end_time > 0")).toEqual([]);

    const seen: string[] = [];
    let token = "";
    do {
      const page = await post(face, "runs/search", {
        experiment_ids: [experimentId],
        order_by: ["metrics.loss DESC"],
        max_results: 2,
        page_token: token,
      });
      seen.push(...idsOf(page));
      token = page.next_page_token;
    } while (token !== undefined);
    expect(seen).toEqual([b, e, a, c, d]);
  });

  test("views, data sets and several experiments", async () => {
    const face = await startRawFace(database);
    const [one, two] = [await makeExperiment(face), await makeExperiment(face)];
    const a = await makeRun(face, { experimentId: one, start: 1 });
    const b = await makeRun(face, { experimentId: two, start: 2 });
    const c = await makeRun(face, { experimentId: one, start: 3 });
    await post(face, "runs/delete", { run_id: c });
    const dataset = { name: "iris", digest: "d1", source_type: "local", source: "{}" };
    const tags = [{ key: "mlflow.data.context", value: "eval" }];
    await post(face, "runs/log-inputs", { run_id: a, datasets: [{ dataset, tags }] });
    await post(face, "runs/log-inputs", { run_id: b, datasets: [{ dataset: { ...dataset, digest: "d2" } }] });
    const find = async (more: object) =>
      idsOf(await post(face, "runs/search", { experiment_ids: [one, Number(two), "999", one], ...more }));
    expect(await find({})).toEqual([b, a]);
    expect(await find({ run_view_type: "DELETED_ONLY" })).toEqual([c]);
    expect(await find({ run_view_type: "ALL" })).toEqual([c, b, a]);
    expect(await find({ run_view_type: 3, filter: "dataset.name = 'iris'" })).toEqual([b, a]);
    expect(await find({ filter: "datasets.context LIKE 'ev%'" })).toEqual([a]);
    expect(await find({ filter: "dataset.digest IN ('d2', 'd3')" })).toEqual([b]);
    expect(await post(face, "runs/search", { experiment_ids: [] })).toEqual({});
    const body = { experiment_ids: [one, two] };
    const summaries = await face.call("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", body);
    expect(summaries.body).toEqual({
      dataset_summaries: [
        { experiment_id: one, name: "iris", digest: "d1", context: "eval" },
        { experiment_id: two, name: "iris", digest: "d2" },
      ],
    });
  });

  test("experiments are found by name, tag and time, the newest first", async () => {
    const face = await startRawFace(database);
    const names = ["alpha", "Beta", "b_ta", "gamma"];
    const ids: string[] = [];
    for (const name of names) ids.push(await makeExperiment(face, name));
    const [alpha, beta, under, gamma] = ids;
    await post(face, "experiments/set-experiment-tag", { experiment_id: beta, key: "team x", value: "red" });
    await post(face, "experiments/delete", { experiment_id: gamma });
    const find = async (body: object) => {
      const found = await post(face, "experiments/search", body);
      // biome-ignore lint/suspicious/noExplicitAny: as the face's answers are.
      return (found.experiments ?? []).map((experiment: any) => experiment.experiment_id);
    };
    expect(await find({ order_by: ["experiment_id"] })).toEqual(["0", alpha, beta, under]);
    expect(await find({ view_type: "DELETED_ONLY" })).toEqual([gamma]);
    expect(await find({ filter: "name LIKE 'b%'" })).toEqual([under]);
    expect(await find({ filter: "name ILIKE 'B%'", order_by: ["name DESC"] })).toEqual([under, beta]);
    expect(await find({ filter: "tags.`team x` = 'red'" })).toEqual([beta]);
    expect(await find({ filter: "tags.`team x` IS NULL AND name != 'Default'", order_by: ["name"] })).toEqual([
      alpha,
      under,
    ]);
    expect(await find({ filter: `experiment_id IN ('${alpha}', '0${under}')`, order_by: ["name"] })).toEqual([
      alpha,
      under,
    ]);
    expect(await find({ filter: "creation_time < 5" })).toEqual([]);
    const seen: string[] = [];
    let query = "max_results=1&view_type=ALL&order_by=name";
    for (;;) {
      const { body } = await face.call("GET", `/api/2.0/mlflow/experiments/search?${query}`);
      seen.push(body.experiments[0].name);
      if (body.next_page_token === undefined) break;
      query = `max_results=1&view_type=ALL&order_by=name&page_token=${encodeURIComponent(body.next_page_token)}`;
    }
    expect(seen).toEqual(["Beta", "Default", "alpha", "b_ta", "gamma"]);
  });

  test("what is wrong is refused, and says what", async () => {
    const face = await startRawFace(database);
    for (const [path, body, message] of refusals) {
      const asked = path === "experiments/search-datasets" ? body : { experiment_ids: ["0"], ...body };
      expect(await face.call("POST", `/api/2.0/mlflow/${path}`, asked)).toMatchObject({
        status: 400,
        body: { error_code: "INVALID_PARAMETER_VALUE", message: expect.stringMatching(message) },
      });
    }
  });

  test("a page that grows too long ends early, and the next goes on", async () => {
    const record = await database.open();
    const ids = Array.from({ length: 7 }, (_, index) => `r${index}`);
    for (const id of ids) {
      const run = { id, experimentId: "0", parentRunId: undefined, name: id, userId: "me", startTime: 5, tags: [] };
      await record.tracking.runs.create(run);
    }
    const [route] = searchRoutes({ record } as ControlPlane, { runsARead: 1, longestPage: 1 });
    const call = {
      scope: { kind: "project" },
      principal: { actor: "a", grant: { kind: "role", role: "viewer" } },
    } as const;
    const pages: string[][] = [];
    for (let token: string | undefined = ""; token !== undefined; ) {
      const fields = { experiment_ids: ["0"], max_results: 5, page_token: token };
      const answer = JSON.parse(String(await route?.handle({ ...call, fields, signal: new AbortController().signal })));
      pages.push(idsOf(answer));
      token = answer.next_page_token;
    }
    expect(pages).toEqual([["r0", "r1"], ["r2", "r3"], ["r4", "r5"], ["r6"]]);
  });

  test("a step's token sees its own experiment only", async () => {
    const record = await database.open();
    const own = (await record.tracking.experiments.create({ name: "own", tags: [] })) ?? "";
    const routes = searchRoutes({ record } as ControlPlane);
    const ask = async (path: string, fields: object) => {
      const route = routes.find((one) => one.path === path) ?? routes[0];
      const scope = { kind: "experiment", experimentId: own, runId: "r", attemptId: "a" } as const;
      const principal = { actor: "attempt:a", grant: { kind: "attempt", attemptId: "a", runId: "r" } } as const;
      return route?.handle({ fields: { ...fields }, scope, principal, signal: new AbortController().signal });
    };
    expect(await ask("/mlflow/runs/search", { experiment_ids: [own] })).toBe("{}");
    const refused = { code: "PERMISSION_DENIED" };
    await expect(ask("/mlflow/runs/search", { experiment_ids: [own, "0"] })).rejects.toMatchObject(refused);
    await expect(ask("/mlflow/experiments/search-datasets", { experiment_ids: ["0"] })).rejects.toMatchObject(refused);
    expect(await ask("/mlflow/experiments/search", {})).toMatchObject({ experiments: [{ experiment_id: own }] });
    expect(await ask("/mlflow/experiments/search", { filter: "name = 'Default'" })).toEqual({});
  });
});

const refusals: readonly (readonly [path: string, body: object, message: RegExp])[] = [
  ["runs/search", { filter: "metrics.a > 'x'" }, /Expected numeric value type for metric/],
  ["runs/search", { filter: "params.a = 'x' OR params.b = 'y'" }, /Invalid clause\(s\) in filter string: 'OR'/],
  ["runs/search", { filter: 5 }, /filter/],
  ["runs/search", { order_by: ["foo"] }, /Invalid attribute key 'foo'/],
  ["runs/search", { order_by: ["metrics.a", "metrics.a"] }, /`order_by` contains duplicate fields/],
  ["runs/search", { max_results: 0 }, /Invalid value 0 for parameter 'max_results'/],
  ["runs/search", { max_results: 50_001 }, /Invalid value 50001 for parameter 'max_results'.*at most 50000/],
  ["runs/search", { run_view_type: "SOME" }, /run_view_type/],
  ["runs/search", { page_token: "nonsense" }, /Invalid page token/],
  ["runs/search", { experiment_ids: ["x"] }, /Invalid experiment ID/],
  ["runs/search", { filter: "tags.a = '\0'" }, /NUL/],
  ["experiments/search", { filter: "creation_time > 'x'" }, /Expected numeric value type/],
  ["experiments/search", { filter: "experiment_id = 'x'" }, /Invalid experiment ID/],
  ["experiments/search", { max_results: -1 }, /max_results/],
  ["experiments/search-datasets", {}, /at least one experiment_id/],
  [
    "experiments/search-datasets",
    { experiment_ids: Array.from({ length: 21 }, (_, index) => String(index)) },
    /more than 20/,
  ],
];
