import { createClient } from "@espalier/contract";
import { expect, test } from "vitest";
import { api, attack, expectQuiet, expectRefused, proxy } from "./testing/attacked.ts";

/** Past vulnerabilities of MLflow's own server that cost it its memory or time, or made it ask others: each is tried on this one. */

test("CVE-2025-0453: there is no GraphQL whose depth or aliases could be driven up", async () => {
  const { send } = await attack();
  const query = `{${Array.from({ length: 1000 }, (_, index) => `a${index}: mlflowGetExperiment(input: {experimentId: "0"}) {`).join("")}`;
  for (const path of ["/graphql", "/ajax-api/2.0/graphql", "/api/2.0/graphql"]) {
    expectRefused(await send("POST", path, JSON.stringify({ query }), { "content-type": "application/json" }), path);
  }
});

test("CVE-2024-6838: names, values and bodies have an end", async () => {
  const { post, send, runId } = await attack();
  const long = "n".repeat(200_000);
  const names = [
    [`${api}/experiments/create`, { name: long }],
    [`${api}/registered-models/create`, { name: "m".repeat(100_000) }],
    [`${api}/runs/log-metric`, { run_id: runId, key: long, value: 1, timestamp: 1 }],
    [`${api}/runs/log-parameter`, { run_id: runId, key: long, value: "1" }],
    [`${api}/runs/set-tag`, { run_id: runId, key: long, value: "1" }],
    [`${api}/experiments/set-experiment-tag`, { experiment_id: "0", key: long, value: "1" }],
    [`${api}/experiments/create`, { name: "x", artifact_location: `mlflow-artifacts:/${long}` }],
    [`${api}/experiments/search`, { filter: `name = '${long}`, max_results: 10 }],
    [`${api}/runs/search`, { experiment_ids: ["0"], filter: "metrics.a > 1 and ".repeat(5000) }],
    [`${api}/runs/search`, { experiment_ids: ["0"], max_results: 10_000_000 }],
    [`${api}/runs/search`, { experiment_ids: ["0"], order_by: Array(10_000).fill("metrics.a") }],
  ] as const;
  for (const [path, body] of names) {
    const answer = await post(path, body);
    expectRefused(answer, `${path} ${JSON.stringify(body).slice(0, 80)}`, 400);
    expect(answer.body.length, path).toBeLessThan(5_000);
  }
  const huge = JSON.stringify({ name: "x", tags: [{ key: "a", value: "y".repeat(20 * 1024 * 1024) }] });
  for (const path of [
    "experiments/create",
    "runs/create",
    "runs/log-batch",
    "registered-models/create",
    "logged-models",
  ]) {
    const claimed = { "content-type": "application/json", "content-length": String(huge.length) };
    const answer = await send("POST", `${api}/${path}`, huge, claimed).catch(
      (error: NodeJS.ErrnoException) => error.code,
    );
    // Refused before it was all read: then the connection may be gone first.
    if (typeof answer !== "object") expect(["ECONNRESET", "EPIPE"]).toContain(answer);
    else expectRefused(answer, path, 413);
  }
  const deep = `${"[".repeat(400_000)}${"]".repeat(400_000)}`;
  expectRefused(await send("POST", `${api}/experiments/create`, deep, { "content-type": "application/json" }), "deep");
  expect((await send("GET", "/health")).status).toBe(200);
});

test("CVE-2024-6838: an experiment or a model of many names stays fast to list, for pages are bounded", async () => {
  const { post } = await attack();
  const answer = await post(`${api}/experiments/search`, { max_results: 50_001 });
  expectRefused(answer, "max_results", 400);
  for (const max of [-1, 0, 2 ** 40]) {
    expectRefused(await post(`${api}/experiments/search`, { max_results: max }), `max_results ${max}`, 400);
  }
});

test("CVE-2026-2393: a webhook is sent to no address of our network, however it is written", async () => {
  const { post, token } = await attack();
  const headers = { authorization: `Bearer ${token}` };
  const urls = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://localhost./",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://172.16.0.1/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://user:pass@127.0.0.1/",
    "https://127.0.0.1:6379/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "javascript:alert(1)",
  ];
  for (const url of urls) {
    const body = { name: "hook", url, events: [{ entity: "REGISTERED_MODEL", action: "CREATED" }] };
    expectRefused(await post(`${api}/webhooks`, body, headers), url, 400);
  }
});

test("CVE-2025-52967: nothing is fetched for a client: no gateway, no proxy to elsewhere, no source by URL", async () => {
  const { send, post } = await attack();
  for (const path of [
    "/ajax-api/2.0/mlflow/gateway-proxy",
    "/api/2.0/mlflow/gateway-proxy",
    "/ajax-api/3.0/mlflow/gateway-proxy",
  ]) {
    const answer = await post(path, { gateway_path: "http://169.254.169.254/", json_data: {} });
    expectRefused(answer, path, 404);
    expectRefused(await send("GET", `${path}?gateway_path=http://169.254.169.254/`), path, 404);
  }
  for (const source of ["http://169.254.169.254/latest", "https://example.com/model", "s3://bucket/model"]) {
    await post(`${api}/registered-models/create`, { name: "m" });
    expectRefused(await post(`${api}/model-versions/create`, { name: "m", source }), source, 400);
  }
  expectRefused(await send("GET", "http://169.254.169.254/latest/meta-data/"), "an absolute request target");
});

test("errors tell what is wrong with the request, and nothing of the machine", async () => {
  const { send, post, runId, files } = await attack();
  const name = "same";
  await post(`${api}/experiments/create`, { name });
  await post(`${api}/registered-models/create`, { name });
  const json = { "content-type": "application/json" };
  const requests: [string, string, (string | undefined)?, Record<string, string>?][] = [
    ["POST", `${api}/experiments/create`, JSON.stringify({ name }), json],
    ["POST", `${api}/registered-models/create`, JSON.stringify({ name }), json],
    ["POST", `${api}/experiments/create`, '{"name":"a\\u0000b"}', json],
    [
      "POST",
      `${api}/runs/log-parameter`,
      JSON.stringify({ run_id: runId, key: "a'b\"; DROP TABLE runs", value: "\ud800" }),
      json,
    ],
    ["POST", `${api}/runs/search`, JSON.stringify({ experiment_ids: ["0"], filter: "params.a = 'x' OR 1=1" }), json],
    ["POST", `${api}/runs/search`, JSON.stringify({ experiment_ids: ["0' OR '1'='1"], page_token: "'; --" }), json],
    ["POST", `${api}/runs/log-metric`, "{", json],
    ["POST", `${api}/runs/log-metric`, "x", { "content-type": "text/plain" }],
    ["GET", `${api}/runs/get?run_id=%00`],
    ["GET", `${api}/runs/get?run_id=%zz`],
    ["GET", `${api}/metrics/get-history?run_id=${runId}&metric_key=a&page_token=AAAA`],
    ["GET", `${api}/experiments/get?experiment_id=99999999999999999999`],
    ["GET", `${api}/experiments/get?experiment_id[]=1`],
    ["GET", `${proxy}/${files}/none`],
    ["GET", `${proxy}/%zz`],
    ["PUT", `${proxy}/nothing/here`, "x"],
    ["POST", "/v1/traces", "garbage", { "content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0" }],
    ["PATCH", `${api}/runs/get`],
    ["GET", `${api}/no-such-thing`],
  ];
  for (const [method, path, body, headers] of requests) {
    const answer = await send(method, path, body, headers);
    expectQuiet(answer, `${method} ${path}`);
    expect(answer.status, `${method} ${path} ${answer.body.toString().slice(0, 300)}`).toBeLessThan(500);
  }
});

test("one token's flood, and one address's guesses, are told when to come back; the owner goes on", async () => {
  const limited = "project: flights\ncontrol_plane: { rate_limit: { requests_per_second: 0.1, burst: 5 } }\n";
  const { send, url, token } = await attack(limited);
  const client = createClient({ url, token });
  const { token: editor } = await client.call("tokens.create", { body: { name: "ci", role: "editor" } });
  const ask = (text: string) =>
    send("GET", `${api}/experiments/get?experiment_id=0`, undefined, { authorization: `Bearer ${text}` });
  for (let count = 0; count < 5; count += 1) expect((await ask(editor)).status).toBe(200);
  const refused = await ask(editor);
  expect(refused.status).toBe(429);
  expect(refused.json().error_code).toBe("REQUEST_LIMIT_EXCEEDED");
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);

  const guesses = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(`esp_guess-${index}`)));
  const later = await ask("esp_guess-last");
  expect(guesses.filter(({ status }) => status === 401).length).toBeGreaterThan(0);
  expect(later.status).toBe(429);
  expect(later.json().error_code).toBe("REQUEST_LIMIT_EXCEEDED");
  for (let count = 0; count < 20; count += 1) expect((await ask(token)).status).toBe(200);
  // A training loop of this machine has neither.
  for (let count = 0; count < 20; count += 1) {
    expect((await send("GET", `${api}/experiments/get?experiment_id=0`)).status).toBe(200);
  }
});
