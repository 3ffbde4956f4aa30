import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { startPostgres } from "../../../../../scripts/servers/postgres.ts";
import { describeOnBoth } from "../../db/testing/databases.ts";
import { type RawAnswer, startRawFace } from "../testing/raw-face.ts";
import { characters, many, metric, points, refusedRequests } from "../testing/refused-requests.ts";

const api = "/api/2.0/mlflow";
const run_id = "$run";

/** What is at a limit, or odd but meant. */
const taken: [string, object][] = [
  ["runs/log-metric", { ...metric, run_id, key: characters(250) }],
  ["runs/log-metric", { ...metric, run_id, key: "é:x y-1.2/z" }],
  ["runs/log-metric", { ...metric, run_id, timestamp: "5", step: "-3", value: "1.5" }],
  ["runs/log-metric", { ...metric, run_uuid: "$run" }],
  ["runs/log-metric", { ...metric, run_id, nonsense: { a: [] } }],
  ["runs/log-parameter", { run_id, key: "known", value: "1" }],
  ["runs/log-parameter", { run_id, key: "without a value" }],
  ["runs/log-batch", { run_id, metrics: points(800), params: many(100, "p"), tags: many(100, "t") }],
  ["runs/log-batch", { run_id }],
  ["experiments/create", { name: "placed", artifact_location: "mlflow-artifacts:/somewhere/else" }],
];

describeOnBoth("limits of tracking", await startPostgres(), (database) => {
  const prepare = async () => {
    const face = await startRawFace(database);
    const post = async (path: string, body: object) => (await face.call("POST", `${api}/${path}`, body)).body;
    const { experiment_id: exp } = await post("experiments/create", { name: randomUUID() });
    const { experiment_id: gone } = await post("experiments/create", { name: randomUUID() });
    await post("experiments/delete", { experiment_id: gone });
    const ids: Record<string, string> = { $exp: exp, $gone: gone };
    for (const name of ["$run", "$dead"]) {
      ids[name] = (await post("runs/create", { experiment_id: exp })).run.info.run_id;
    }
    await post("runs/log-parameter", { run_id: ids["$run"], key: "known", value: "1" });
    await post("runs/delete", { run_id: ids["$dead"] });
    const send = (path: string, body: object): Promise<RawAnswer> => {
      const filled = JSON.parse(JSON.stringify(body).replaceAll(/\$(run|dead|exp|gone)/g, (name) => ids[name] ?? name));
      return Array.isArray(filled)
        ? face.call("GET", `${api}/${path}?${new URLSearchParams(filled)}`)
        : face.call("POST", `${api}/${path}`, filled);
    };
    const run = async () => (await send("runs/get", [["run_id", "$run"]])).body.run;
    return { send, run };
  };

  test("what is beyond one is refused with MLflow's code, status and message, and nothing is written", async () => {
    const { send, run } = await prepare();
    const before = await run();
    for (const { path, body, status, code, message } of refusedRequests) {
      const answer = await send(path, body);
      expect({ path, body, status: answer.status, ...answer.body }).toMatchObject({
        status,
        error_code: code,
        message: expect.stringContaining(message),
      });
    }
    expect(await run()).toEqual(before);
  });

  test("what is at one is taken", async () => {
    const { send } = await prepare();
    for (const [path, body] of taken) {
      expect({ path, sent: body, ...(await send(path, body)) }).toMatchObject({ status: 200 });
    }
  });

  test("long values of parameters and tags are cut, by characters", async () => {
    const { send, run } = await prepare();
    const value = "😀".repeat(9000);
    await send("runs/log-parameter", { run_id, key: "p", value });
    await send("runs/log-batch", { run_id, tags: [{ key: "t", value }] });
    // The same value again is no change.
    expect(await send("runs/log-parameter", { run_id, key: "p", value })).toMatchObject({ status: 200 });
    const { data } = await run();
    expect(data.params).toContainEqual({ key: "p", value: "😀".repeat(6000) });
    expect(data.tags).toContainEqual({ key: "t", value: "😀".repeat(8000) });
  });
});
