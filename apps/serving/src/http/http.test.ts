import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, runServer, temporaryFolder } from "../testing/running-server.ts";

describe("HTTP", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let running: RunningServer;
  const infer = "/v2/models/tiny/infer";
  const body = { inputs: [{ name: "m", datatype: "FP32", shape: [1, 2], data: [0, 0] }] };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const signature = matrixSignature(["a", "b"]);
    const at = await writeModelFolder(join(folder.path, "model"), logisticModel([1, -1], 0), signature);
    running = await runServer({ modelDirectory: at, bodyLimitBytes: 100_000 });
  });
  afterAll(async () => {
    await running.server.close();
    await folder.remove();
  });

  /** What a server answers to bytes that no client would send. */
  async function raw(...parts: (string | Buffer)[]): Promise<string> {
    const socket = connect(running.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    // What is no HTTP is answered, and the connection closed before the rest of it was read.
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    for (const part of parts) socket.write(part);
    await closed;
    return text;
  }

  it("echoes a request's id, and makes one for who has none", async () => {
    const given = await running.post(infer, body, { "x-request-id": "abc/1" });
    expect(given.headers.get("x-request-id")).toBe("abc/1");
    const made = await running.post(infer, body);
    expect(made.headers.get("x-request-id")).toMatch(/^[0-9A-Z]{26}$/);
    expect(made.headers.get("x-request-id")).toBe(made.headers.get("x-espalier-prediction-id"));
    const refused = await running.post(infer, {}, { "x-request-id": "abc/2" });
    expect([refused.status, refused.headers.get("x-request-id")]).toEqual([400, "abc/2"]);
    const odd = await running.post(infer, body, { "x-request-id": "a b" });
    expect(odd.headers.get("x-request-id")).toMatch(/^[0-9A-Z]{26}$/);
  });

  it("V2's id is echoed whatever it is; a prediction's id is one that columns and logs can hold", async () => {
    const kept = await running.post(infer, { ...body, id: "order-1" });
    expect([kept.body.id, kept.headers.get("x-espalier-prediction-id")]).toEqual(["order-1", "order-1"]);
    const odd = await running.post(infer, { ...body, id: 'two words "\n' });
    expect(odd.body.id).toBe('two words "\n');
    expect(odd.headers.get("x-espalier-prediction-id")).toMatch(/^[0-9A-Z]{26}$/);
    const both = await running.post(infer, { ...body, id: "order-1" }, { "x-espalier-prediction-id": "p-1" });
    expect([both.body.id, both.headers.get("x-espalier-prediction-id")]).toEqual(["order-1", "p-1"]);
    expect((await running.post(infer, body, { "x-espalier-prediction-id": "a b" })).status).toBe(400);
  });

  it("a deadline that has passed is an overload in V2 and MLflow's own status there", async () => {
    const late = { ...body, parameters: { timeout: 0.001 } };
    const v2 = await running.post(infer, late);
    expect([v2.status, v2.headers.get("retry-after"), v2.body.error]).toEqual([
      503,
      "1",
      expect.stringContaining("deadline"),
    ]);
    const mlflow = await running.post("/invocations", { instances: [[0, 0]] }, { "x-request-timeout-ms": "0.000001" });
    expect([mlflow.status, mlflow.body.error_code]).toEqual([504, "DEADLINE_EXCEEDED"]);
    for (const name of ["x-request-timeout-ms", "x-espalier-timeout-ms"]) {
      expect((await running.post(infer, body, { [name]: "60000" })).status).toBe(200);
      for (const value of ["0", "-1", "soon", "1e12"]) {
        expect((await running.post(infer, body, { [name]: value })).status, `${name}: ${value}`).toBe(400);
      }
    }
    expect((await running.post(infer, { ...body, parameters: { timeout: 60_000_000 } })).status).toBe(200);
  });

  it.each<[string, string, number, string]>([
    ["GET", "/nowhere", 404, "There is nothing at GET /nowhere"],
    ["GET", infer, 405, "only POST"],
    ["PUT", "/invocations", 405, "only POST"],
    ["POST", "/v2/health/live", 405, "only GET"],
    ["DELETE", "/v2/models/tiny", 405, "only GET"],
    ["POST", "/v2/models/%E0%A4%A/infer", 400, "percent-encoded"],
    ["POST", "/v2/models/../../infer", 404, "There is nothing"],
    ["GET", `/v2/models/${"x".repeat(5000)}`, 404, "There is no model"],
    ["POST", "/models", 404, "There is nothing"],
  ])("%s %s", async (method, path, status, message) => {
    const answer = await running.send(path, undefined, {}, method);
    const { error, error_code, message: told } = JSON.parse(answer.bytes.toString());
    expect([answer.status, error ?? told]).toEqual([status, expect.stringContaining(message)]);
    expect(error_code ?? "none").toBe("none");
    if (status === 405) expect(answer.headers.get("allow")).toBe(message.slice("only ".length));
  });

  it("any path, method and header gets an answer that is no fault of the server", async () => {
    const part = fc.oneof(
      fc.constantFrom(
        "v1",
        "v2",
        "models",
        "tiny",
        "tiny:predict",
        "tiny:explain",
        "versions",
        "3",
        "infer",
        "stats",
        "config",
      ),
      fc.constantFrom(
        "ready",
        "repository",
        "index",
        "load",
        "unload",
        "invocations",
        "score",
        "ping",
        "metrics",
        "..",
        "%",
        "%00",
      ),
      fc.string({ unit: "binary", maxLength: 5 }).map((text) => encodeURIComponent(text.toWellFormed())),
    );
    const path = fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`);
    const method = fc.constantFrom("GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD");
    const header = fc.constantFrom(
      ...["content-type", "content-encoding", "inference-header-content-length", "x-request-id", "traceparent"],
      ...[
        "x-espalier-prediction-id",
        "x-espalier-event-time",
        "x-request-timeout-ms",
        "x-espalier-capture",
        "expect-ct",
      ],
    );
    const value = fc.oneof(
      fc.constantFrom(
        "0",
        "-1",
        "1",
        "application/json",
        "text/csv",
        "gzip",
        "identity",
        ";",
        "=;=",
        "a/b; charset",
        "1e999",
      ),
      fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, "").trim()),
    );
    const headers = fc.dictionary(header, value, { maxKeys: 4, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(path, method, headers, fc.boolean(), async (to, how, given, hasBody) => {
        const sent = hasBody && how !== "GET" && how !== "HEAD" ? JSON.stringify(body) : undefined;
        const answer = await running.send(to, sent, given, how);
        const told = JSON.stringify([how, to, given, answer.bytes.toString().slice(0, 300)]);
        expect([200, 400, 403, 404, 405, 415, 431, 501, 503, 504], told).toContain(answer.status);
        if (answer.status >= 500) expect(told).toMatch(/UNSUPPORTED|TIMEOUT/);
      }),
      { numRuns: 1000 },
    );
    expect((await running.post(infer, body)).status).toBe(200);
  });

  it("answers HEAD like GET, and takes names that need escapes", async () => {
    const head = await running.send("/v2/health/ready", undefined, {}, "HEAD");
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    expect((await running.post("/v2/models/%74iny/versions/3/infer?trace=1", body)).status).toBe(200);
  });

  it("V1 lists, tells, predicts and says what it can not", async () => {
    const get = async (path: string) => JSON.parse((await running.send(path, undefined, {}, "GET")).bytes.toString());
    expect(await get("/v1/models")).toEqual({ models: ["tiny"] });
    expect(await get("/v1/models/endpoint")).toEqual({ name: "endpoint", ready: true });
    const answer = await running.post("/v1/models/tiny:predict", { instances: [[0, 0], { a: 1, b: 1 }].slice(0, 1) });
    expect(answer.body).toEqual({ predictions: [0.5] });
    const none = await running.post("/v1/models/none:predict", { instances: [[0, 0]] });
    expect([none.status, none.body]).toEqual([
      404,
      expect.objectContaining({ error: expect.stringContaining('"none"') }),
    ]);
    const explain = await running.post("/v1/models/tiny:explain", { instances: [[0, 0]] });
    expect([explain.status, explain.body.code]).toEqual([501, "UNSUPPORTED"]);
  });

  it("bodies that break off, lie or never end, and what is no HTTP, harm nobody", async () => {
    const head = `POST ${infer} HTTP/1.1\r\nHost: x\r\n`;
    const socket = connect(running.port, "127.0.0.1");
    socket.write(`${head}Content-Length: 1000\r\n\r\n{"inputs":`);
    await once(socket, "connect");
    socket.destroy();
    const chunk = `${(10_000).toString(16)}\r\n${"x".repeat(10_000)}\r\n`;
    const large = await raw(
      `${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
      chunk.repeat(20),
      "0\r\n\r\n",
    );
    expect(large).toMatch(/^HTTP\/1\.1 413 /);
    expect(await raw(`${head}Content-Length: -1\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(`${head}X-Large: ${"x".repeat(100_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    const announced = await raw(`${head}Content-Length: 200000\r\nConnection: close\r\n\r\n`, "x".repeat(200_000));
    expect(announced).toMatch(/^HTTP\/1\.1 413 /);
    const empty = await raw(`${head}Connection: close\r\n\r\n`);
    expect(empty).toMatch(/^HTTP\/1\.1 400 /);
    expect(empty).toContain("has no body");
    expect((await running.post(infer, body)).body.outputs[0].data).toEqual([0.5]);
  });
});
