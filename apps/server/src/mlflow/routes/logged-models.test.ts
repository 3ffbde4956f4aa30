import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { startRawFace } from "../testing/raw-face.ts";

const models = "/api/2.0/mlflow/logged-models";

/** Bodies as the client of MLflow 3.17.2 sends them. */
describeOnBoth("logged models", await startPostgres(), (database) => {
  test("are made, finalised, tagged, given parameters, and deleted", async () => {
    const { call } = await startRawFace(database);
    const made = await call("POST", models, {
      experiment_id: "0",
      name: "mymodel",
      model_type: "tt",
      source_run_id: "852151c293474e75b17724f4ccddb911",
      params: [
        { key: "a", value: "1" },
        { key: "b", value: "x" },
      ],
      tags: [{ key: "t", value: "v" }],
    });
    const { info, data } = made.body.model;
    expect(info).toEqual({
      model_id: expect.stringMatching(/^m-[0-9a-f]{32}$/),
      experiment_id: "0",
      name: "mymodel",
      creation_timestamp_ms: expect.any(Number),
      last_updated_timestamp_ms: info.creation_timestamp_ms,
      artifact_uri: `mlflow-artifacts:/0/models/${info.model_id}/artifacts`,
      status: "LOGGED_MODEL_PENDING",
      model_type: "tt",
      source_run_id: "852151c293474e75b17724f4ccddb911",
      tags: [{ key: "t", value: "v" }],
    });
    expect(data.params).toEqual([
      { key: "a", value: "1" },
      { key: "b", value: "x" },
    ]);
    const own = `${models}/${info.model_id}`;
    const id = { model_id: info.model_id };
    expect(await call("POST", `${own}/params`, { ...id, params: [{ key: "c", value: "9" }] })).toEqual({
      status: 200,
      body: {},
    });
    const ready = await call("PATCH", own, { ...id, status: "LOGGED_MODEL_READY" });
    expect(ready.body.model.info.status).toBe("LOGGED_MODEL_READY");
    const tags = [
      { key: "t", value: "w" },
      { key: "u", value: "2" },
    ];
    expect((await call("PATCH", `${own}/tags`, { tags })).status).toBe(200);
    expect((await call("DELETE", `${own}/tags/u`)).status).toBe(200);
    const read = (await call("GET", own)).body.model;
    expect(read.info).toMatchObject({ status: "LOGGED_MODEL_READY", tags: [{ key: "t", value: "w" }] });
    expect(read.data.params).toHaveLength(3);
    expect((await call("DELETE", own, id)).status).toBe(200);
    expect(await call("GET", own)).toEqual({
      status: 404,
      body: {
        error_code: "RESOURCE_DOES_NOT_EXIST",
        message: `Logged model with ID '${info.model_id}' not found.`,
      },
    });
    expect((await call("GET", `${own}?allow_deleted=true`)).body.model.info.name).toBe("mymodel");
    expect((await call("PATCH", own, { ...id, status: "LOGGED_MODEL_READY" })).status).toBe(404);
  });

  test("have a name of their own when none was given", async () => {
    const { call } = await startRawFace(database);
    expect((await call("POST", models, { experiment_id: 0 })).body.model.info).toMatchObject({
      name: expect.stringMatching(/^[a-z]+-[a-z]+-\d+$/),
      model_type: "",
      source_run_id: "",
    });
  });

  test("a parameter keeps its first value, and a batch with another changes nothing", async () => {
    const { call } = await startRawFace(database);
    const made = await call("POST", models, { experiment_id: "0", params: [{ key: "a", value: "1" }] });
    const own = `${models}/${made.body.model.info.model_id}`;
    const log = (params: object[]) => call("POST", `${own}/params`, { params });
    expect((await log([{ key: "a", value: "1" }])).status).toBe(200);
    const refused = await log([
      { key: "new", value: "x" },
      { key: "a", value: "2" },
    ]);
    expect(refused).toMatchObject({ status: 400, body: { error_code: "INVALID_PARAMETER_VALUE" } });
    expect((await call("GET", own)).body.model.data.params).toEqual([{ key: "a", value: "1" }]);
  });

  test.each([
    ["a name with a slash", { experiment_id: "0", name: "a/b" }, 400, /^Invalid model name \('a\/b'\) provided/],
    ["a name that is too long", { experiment_id: "0", name: "x".repeat(501) }, 400, /maximum length of 500/],
    ["no experiment", { name: "a" }, 400, /^Missing value for required parameter 'experiment_id'/],
    ["an experiment that is not there", { experiment_id: "999" }, 404, /^No Experiment with id=999 exists$/],
    ["a NUL", { experiment_id: "0", tags: [{ key: "a", value: "\0" }] }, 400, /NUL/],
    ["a long key", { experiment_id: "0", params: [{ key: "k".repeat(256), value: "" }] }, 400, /maximum length of 255/],
  ])("%s is refused", async (_what, body, status, message) => {
    const { call } = await startRawFace(database);
    const answer = await call("POST", models, body);
    expect([answer.status, answer.body.message]).toEqual([status, expect.stringMatching(message)]);
  });

  test("what is not there is said as MLflow says it", async () => {
    const { call } = await startRawFace(database);
    for (const [method, path] of [
      ["GET", "/m-nope"],
      ["DELETE", "/m-nope"],
      ["DELETE", "/m-nope/tags/a"],
    ] as const) {
      expect((await call(method, models + path)).body.message).toBe("Logged model with ID 'm-nope' not found.");
    }
    const id = (await call("POST", models, { experiment_id: "0" })).body.model.info.model_id;
    expect((await call("DELETE", `${models}/${id}/tags/zz`)).body).toEqual({
      error_code: "RESOURCE_DOES_NOT_EXIST",
      message: `No tag with key 'zz' found for model with ID '${id}'.`,
    });
    expect((await call("PATCH", `${models}/${id}`, { status: "READY" })).status).toBe(400);
  });
});
