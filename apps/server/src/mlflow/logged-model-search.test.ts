import { expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import { ensureDefaultExperiment } from "../db/queries/experiments.ts";
import { createLoggedModelQueries } from "../db/queries/logged-models/logged-models.ts";
import { describeOnBoth, type TestDatabase } from "../db/testing/databases.ts";
import { readLoggedModelSearch } from "./logged-model-search.ts";

/** Four models, the newest first: delta, gamma, beta, alpha. */
async function fourModels(given: TestDatabase) {
  const database = await given.openDatabase();
  await ensureDefaultExperiment(database);
  const queries = createLoggedModelQueries(database);
  const ids: Record<string, string> = {};
  for (const [index, name] of ["alpha", "beta", "gamma", "delta"].entries()) {
    const made = await queries.create({
      experimentId: "0",
      name,
      modelType: name === "alpha" ? "tree" : undefined,
      params: [{ key: "lr", value: `0.${index}` }],
      tags: [{ key: "team", value: index < 2 ? "Red" : "Blue" }],
    });
    if (made.kind !== "created") throw new Error(made.kind);
    ids[name] = made.model.id;
    await database.kysely
      .updateTable("logged_models")
      .set({ creation_time: 1000 + index })
      .where("model_id", "=", made.model.id)
      .execute();
  }
  await queries.finalize(ids["alpha"] ?? "", "READY");
  const point = { project_id: database.projectId, run_id: "r", timestamp: 5, is_nan: 0 };
  const none = { dataset_name: "", dataset_digest: "" };
  const test1 = { dataset_name: "test", dataset_digest: "1" };
  await database.kysely
    .insertInto("logged_model_metrics")
    .values([
      { ...point, ...none, model_id: ids["alpha"] ?? "", key: "auc", step: 0, value: 0.9 },
      { ...point, ...none, model_id: ids["alpha"] ?? "", key: "auc", step: 1, value: 0.5 },
      { ...point, ...test1, model_id: ids["beta"] ?? "", key: "auc", step: 0, value: 0.7 },
      { ...point, ...none, model_id: ids["gamma"] ?? "", key: "auc", step: 0, value: 0, is_nan: 1 },
    ])
    .execute();
  const find = async (fields: Record<string, unknown>): Promise<string> => {
    const { search } = readLoggedModelSearch({ experiment_ids: ["0"], ...fields });
    return (await queries.search(search)).models.map(({ name }) => name).join(" ");
  };
  return { find, queries, ids };
}

describeOnBoth("searches of logged models", await startPostgres(), (database) => {
  test("filters mean what MLflow means by them", async () => {
    const { find } = await fourModels(database);
    const expected: Record<string, string> = {
      "": "delta gamma beta alpha",
      "name = 'beta'": "beta",
      "name LIKE 'A%'": "",
      "name ilike 'A%'": "alpha",
      "attributes.name IN ('beta', 'gamma')": "gamma beta",
      "name NOT IN ('beta')": "delta gamma alpha",
      "metrics.auc > 0.6": "beta alpha",
      "metrics.`auc` <= 0.5 AND name != 'x'": "alpha",
      "metrics.auc != 7": "beta alpha",
      "params.lr = 0.1": "beta",
      "params.lr = '0.1'": "beta",
      "tags.team = 'Red' AND params.lr LIKE '0%'": "beta alpha",
      "model_type = 'tree'": "alpha",
      "status = 'READY'": "alpha",
      "status = 2": "alpha",
      "status = 'LOGGED_MODEL_PENDING'": "delta gamma beta",
      "creation_time > 1001": "delta gamma",
      "creation_timestamp <= 1000.5": "alpha",
    };
    const found: Record<string, string> = {};
    for (const filter of Object.keys(expected)) found[filter] = await find({ filter });
    expect(found).toEqual(expected);
  });

  test.each([
    ["a.b.c = 'x'", /Invalid entity type 'a'/],
    ["foo = 'x'", /Invalid attributes key 'foo'/],
    ["metrics.auc LIKE 'a'", /./],
    ["metrics.auc > 'x'", /Expected numeric value/],
    ["name > 'a'", /Invalid comparator '>'/],
    ["name = 'a' OR name = 'b'", /Invalid clause/],
  ])("%s is refused", (filter, message) => {
    expect(() => readLoggedModelSearch({ experiment_ids: ["0"], filter })).toThrow(message);
  });

  test("data sets narrow what metrics are looked at", async () => {
    const { find } = await fourModels(database);
    expect(await find({ datasets: [{ dataset_name: "test" }] })).toBe("beta");
    expect(await find({ datasets: [{ dataset_name: "test", dataset_digest: "2" }] })).toBe("");
    const both = { datasets: [{ dataset_name: "test", dataset_digest: "1" }], filter: "metrics.auc > 0.1" };
    expect(await find(both)).toBe("beta");
    await expect(find({ datasets: [{ dataset_digest: "1" }] })).rejects.toThrow(/`dataset_name` in the `datasets`/);
  });

  test("order is by columns or by the latest value of a metric, what has none last", async () => {
    const { find } = await fourModels(database);
    const by = (field_name: string, ascending: boolean, more = {}) =>
      find({ order_by: [{ field_name, ascending, ...more }] });
    expect(await by("name", true)).toBe("alpha beta delta gamma");
    expect(await by("metrics.auc", true)).toBe("alpha beta delta gamma");
    expect(await by("metrics.auc", false)).toBe("beta alpha delta gamma");
    expect(await by("metrics.auc", false, { dataset_name: "test" })).toBe("beta delta gamma alpha");
    await expect(by("foo", true)).rejects.toThrow(/^Invalid order by field name: foo$/);
    await expect(by("params.a", true)).rejects.toThrow(/Only metrics are supported/);
  });

  test("pages follow one another, and a token belongs to its question", async () => {
    const { queries } = await fourModels(database);
    const question = { experiment_ids: ["0"], max_results: 3, order_by: [{ field_name: "name" }] };
    const first = readLoggedModelSearch(question);
    expect((await queries.search(first.search)).more).toBe(true);
    const second = readLoggedModelSearch({ ...question, page_token: first.nextToken() });
    const page = await queries.search(second.search);
    expect([page.models.map(({ name }) => name), page.more]).toEqual([["gamma"], false]);
    const token = { page_token: first.nextToken() };
    expect(() => readLoggedModelSearch({ ...question, ...token, filter: "name='a'" })).toThrow(
      /^Filter string in the page token does not match the requested filter string/,
    );
    expect(() => readLoggedModelSearch({ ...question, ...token, experiment_ids: ["1"] })).toThrow(
      /^Experiment IDs in the page token do not match/,
    );
    expect(() => readLoggedModelSearch({ ...question, page_token: "e30=garbage" })).toThrow(/page token/);
  });

  test("a deleted model is not found, and metrics of a model come with it", async () => {
    const { find, queries, ids } = await fourModels(database);
    await queries.delete(ids["alpha"] ?? "");
    expect(await find({})).toBe("delta gamma beta");
    const { models } = await queries.search(
      readLoggedModelSearch({ experiment_ids: ["0"], filter: "name = 'gamma'" }).search,
    );
    expect(models[0]?.metrics).toEqual([
      { key: "auc", value: Number.NaN, timestamp: 5, step: 0, runId: "r", datasetName: "", datasetDigest: "" },
    ]);
  });
});
