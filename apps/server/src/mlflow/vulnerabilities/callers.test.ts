import { createClient } from "@espalier/contract";
import { expect, test } from "vitest";
import { api, attack, expectQuiet, expectRefused, proxy } from "./testing/attacked.ts";

/** Past vulnerabilities of MLflow's own server that let in whom they should not: each is tried on this one. */

const guarded = "project: flights\ncontrol_plane: { loopback_without_token: false }\n";
const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

test("CVE-2024-4263, CVE-2026-2651, CVE-2026-2652, CVE-2026-0545: nothing that serves or takes content is open to strangers", async () => {
  const { send, files, token } = await attack(guarded);
  const bearer = { authorization: `Bearer ${token}` };
  const requests = [
    ["GET", `${proxy}/${files}/a`],
    ["PUT", `${proxy}/${files}/a`],
    ["DELETE", `${proxy}/${files}/a`],
    ["GET", "/api/2.0/mlflow-artifacts/artifacts?path=0"],
    ["POST", `/api/2.0/mlflow-artifacts/mpu/create/${files}`],
    ["POST", `/api/2.0/mlflow-artifacts/mpu/complete/${files}`],
    ["POST", `/api/2.0/mlflow-artifacts/mpu/abort/${files}`],
    ["POST", "/v1/traces"],
    ["POST", "/api/3.0/mlflow/traces/search"],
    ["POST", `${api}/runs/search`],
    ["POST", `${api}/logged-models/search`],
    ["GET", "/get-artifact?run_id=x&path=y"],
    ["GET", "/model-versions/get-artifact?name=x&version=1&path=y"],
    ["POST", "/ajax-api/2.0/mlflow/upload-artifact?run_id=x&path=y"],
    ["GET", "/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=x"],
  ] as const;
  for (const [method, path] of requests) {
    const body = method === "GET" ? undefined : "{}";
    expectRefused(await send(method, path, body, { "content-type": "application/json" }), `${method} ${path}`, 401);
    expect((await send(method, path, body, { "content-type": "application/json", ...bearer })).status, path).not.toBe(
      401,
    );
  }
  // Parts come by URLs that carry their right: without it they do not.
  for (const path of ["mpu/parts/abc/1", "mpu/parts/abc/1?expires=9999999999&signature=00", `signed/${files}/a`]) {
    const method = path.startsWith("mpu") ? "PUT" : "GET";
    expectRefused(
      await send(method, `/api/2.0/mlflow-artifacts/${path}`, method === "PUT" ? "x" : undefined),
      path,
      403,
    );
  }
  // What of it is not served at all: nobody is let in by a route that was forgotten.
  for (const path of [
    "/api/3.0/mlflow/jobs",
    "/ajax-api/3.0/jobs",
    "/ajax-api/2.0/mlflow/gateway-proxy",
    "/graphql",
    "/signup",
  ]) {
    for (const method of ["GET", "POST"])
      expectRefused(await send(method, path, method === "GET" ? undefined : "{}"), path);
  }
});

test("CVE-2025-11200, CVE-2025-1474, CVE-2026-2635: there is no default password, no weak one and no empty one", async () => {
  const { send, token } = await attack(guarded);
  for (const [name, password] of [
    ["admin", "password1234"],
    ["admin", "password"],
    ["admin", "admin"],
    ["admin", ""],
    ["", ""],
    ["owner", "owner"],
    ["mlflow", "mlflow"],
  ] as const) {
    expectRefused(
      await send("GET", `${api}/experiments/get?experiment_id=0`, undefined, basic(name, password)),
      name,
      401,
    );
  }
  const malformed = ["Basic", "Basic ", "Basic !!!", "Bearer", "Bearer  ", "Bearer undefined", `Basic ${token}`, token];
  for (const authorization of malformed) {
    const answer = await send("GET", `${api}/experiments/get?experiment_id=0`, undefined, { authorization });
    expectRefused(answer, authorization.slice(0, 20), 401);
    expect(answer.body.toString()).not.toContain(token);
  }
  // Whatever the name: a token of 256 random bits is the password, and tokens are made by nobody but us.
  expect((await send("GET", `${api}/experiments/get?experiment_id=0`, undefined, basic("ana", token))).status).toBe(
    200,
  );
  expect(token.length).toBeGreaterThan(40);
});

test("CVE-2023-43472, CVE-2025-14279, CVE-2026-2611: a page in a browser reaches neither prefix, under whatever name it found us", async () => {
  const { send, url } = await attack();
  const { port } = new URL(url);
  const body = JSON.stringify({ name: "stolen" });
  for (const prefix of ["/api", "/ajax-api"]) {
    const create = `${prefix}/2.0/mlflow/experiments/create`;
    for (const origin of [
      "http://evil.com",
      "null",
      "http://localhost:3000",
      `http://10.evil.com:${port}`,
      `https://127.0.0.1`,
    ]) {
      const answer = await send("POST", create, body, { origin, "content-type": "application/json" });
      expectRefused(answer, origin, 403);
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      const preflight = await send("OPTIONS", create, undefined, { origin, "access-control-request-method": "POST" });
      expect(preflight.headers["access-control-allow-origin"]).toBeUndefined();
    }
    for (const host of [
      "evil.com",
      `10.evil.com:${port}`,
      "127.0.0.1.evil.com",
      "localhost.evil.com",
      "2130706433",
      "192.168.evil.com",
    ]) {
      expectRefused(await send("POST", create, body, { host, "content-type": "application/json" }), host, 403);
      expectRefused(
        await send("GET", `${prefix}/2.0/mlflow/experiments/get?experiment_id=0`, undefined, { host }),
        host,
        403,
      );
    }
    // A form can be sent from anywhere without a preflight; it may say text/plain and hold JSON.
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "text/plain; application/json",
    ]) {
      expectRefused(await send("POST", create, body, { "content-type": type }), type, 400);
    }
  }
  const found = await send("GET", `${api}/experiments/get-by-name?experiment_name=stolen`);
  expect(found.status, "nothing was written").toBe(404);
});

test("CVE-2025-1473: there is no form, so nothing to forge; what is no JSON makes no user, token or run", async () => {
  const { send, url, token } = await attack();
  for (const path of ["/signup", "/api/2.0/mlflow/users/create", "/api/2.0/mlflow/users/create-ui", "/api/v1/tokens"]) {
    const answer = await send("POST", path, "name=evil&role=admin&username=evil&password=evil1234evil", {
      "content-type": "application/x-www-form-urlencoded",
    });
    expectRefused(answer, path);
  }
  expect((await createClient({ url, token }).call("tokens.list")).items).toEqual([]);
});

test("CVE-2024-3099: models whose names differ only when they are decoded are two", async () => {
  const { post, send } = await attack();
  const registered = `${api}/registered-models`;
  expect((await post(`${registered}/create`, { name: "a b" })).status).toBe(200);
  for (const name of ["a%20b", "a%2520b", "a+b", "A b", "a b ", " a b", "a\u00a0b"]) {
    const made = await post(`${registered}/create`, { name });
    if (made.status !== 200) expectRefused(made, name, 400);
    else expect(made.json().registered_model.name).toBe(name);
    const got = await send("GET", `${registered}/get?name=${encodeURIComponent(name)}`);
    if (got.status === 200) expect(got.json().registered_model.name).toBe(name);
    else expectRefused(got, name);
  }
});

test("tokenless loopback reaches this face and nothing behind it", async () => {
  const { send, url, token } = await attack();
  const document = await send("GET", "/api/v1/openapi.json", undefined, { authorization: `Bearer ${token}` });
  const paths = Object.entries(document.json().paths as Record<string, object>);
  expect(paths.length).toBeGreaterThan(40);
  for (const [path, methods] of paths) {
    for (const method of Object.keys(methods)) {
      const answer = await send(
        method.toUpperCase(),
        path.replaceAll(/\{[^}]+\}/g, "x"),
        method === "get" ? undefined : "{}",
        {
          "content-type": "application/json",
        },
      );
      const isSigned = path.includes("/blobs/");
      expectRefused(answer, `${method} ${path}`, isSigned ? undefined : 401);
    }
  }
  const metrics = await fetch(`${url}/metrics`);
  expect(await metrics.text()).not.toContain(token);
});

test("a token that is good for nothing here opens nothing, and what it was is told nowhere", async () => {
  const { send } = await attack(guarded);
  const guess = "esp_attackers-guess-0123456789";
  for (const path of [`${api}/experiments/get?experiment_id=0`, "/api/v1/runs", "/api/v1/attempts/x/manifest"]) {
    const answer = await send("GET", path, undefined, { authorization: `Bearer ${guess}` });
    expectRefused(answer, path, 401);
    expect(answer.body.toString()).not.toContain(guess);
    expectQuiet(answer, path);
  }
});

test("changes leave audit rows with who made them and what came of it; what training loops send all the time does not", async () => {
  const { post, url, token, runId } = await attack();
  const client = createClient({ url, token });
  const headers = { authorization: `Bearer ${token}` };
  expect((await post(`${api}/experiments/create`, { name: "audited" }, headers)).status).toBe(200);
  expect((await post(`${api}/experiments/create`, { name: "audited" })).status).toBe(400);
  expect((await post(`${api}/runs/log-metric`, { run_id: runId, key: "a", value: 1, timestamp: 1 })).status).toBe(200);
  const { items } = await client.call("audit.list", { query: { limit: 100 } });
  expect(items.map(({ actor, action, subject, outcome }) => [actor, action, subject, outcome])).toEqual([
    ["loopback", "mlflow.experiments.create", "audited", "ALREADY_EXISTS"],
    ["owner", "mlflow.experiments.create", "audited", "ok"],
  ]);
});
