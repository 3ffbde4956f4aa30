import { createHmac } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ModelSignature } from "@espalier/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../testing/running-server.ts";
import { createCapture } from "./capture.ts";
import type { CapturedExchange } from "./captured-exchange.ts";

const signature: ModelSignature = {
  format: "onnx",
  payload: "model.onnx",
  inputs: [
    { name: "amount", type: "double", nullable: true },
    { name: "card", type: "long" },
    { name: "email", type: "string" },
    { name: "image", type: "float", shape: [2, 2] },
  ],
  outputs: [
    { name: "label", type: "long" },
    { name: "probabilities", type: "float", shape: [2] },
  ],
};
const model = { name: "tiny", version: "3", signature };
const large = 2n ** 62n + 1n;

const exchange = (id: string, more: Partial<CapturedExchange> = {}): CapturedExchange => ({
  id,
  eventTime: Date.UTC(2001, 1, 3),
  servedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 600),
  table: {
    rows: 2,
    values: [1.5, large, "a@x", [1, 2, 3, 4], Number.NaN, 7, "b@x", new Float32Array([5, 6, 7, 8])],
  },
  outputs: [
    { name: "label", type: "int64", tail: [], data: BigInt64Array.from([1n, 0n]) },
    { name: "probabilities", type: "float32", tail: [2], data: Float32Array.from([0.25, 0.75, 1, 0]) },
  ],
  ...more,
});
const bytes = {
  request: { contentType: "text/csv", body: "amount,card\n1.5,7\n" },
  response: { contentType: "application/json; charset=utf-8", body: Buffer.from('{"predictions":[1]}') },
};

/** A receiver of events. */
async function receiver(answer: () => number | "stall") {
  const events: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const status = answer();
      if (status === "stall") return;
      events.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    events,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("capture", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function segment(
    options: Parameters<typeof createCapture>[0],
    ...exchanges: CapturedExchange[]
  ): Promise<string[]> {
    const capture = createCapture({ directory: folder.path, ...options }, model);
    for (const one of exchanges) capture?.add(one);
    await capture?.close();
    const [name = ""] = (await readdir(folder.path)).filter((file) => file.endsWith(".jsonl"));
    return (await readFile(join(folder.path, name), "utf8")).trimEnd().split("\n");
  }

  it("segments hold inputs, outputs and score by column; 64-bit integers exactly, tensors as lists", async () => {
    const [header = "", line = ""] = await segment({}, exchange("p"));
    expect(JSON.parse(header)).toEqual({
      capture: 1,
      model: "tiny",
      version: "3",
      inputs: signature.inputs.map(({ name, type, shape }) => ({
        name,
        type,
        ...(shape === undefined ? {} : { shape }),
      })),
      outputs: [
        // Without a shape in the signature a row may hold any number of values.
        { name: "label", type: "long", shape: [-1] },
        { name: "probabilities", type: "float", shape: [2] },
      ],
      scoreType: "number",
    });
    expect(line).toContain(`"c1":[${large},7]`);
    expect(JSON.parse(line)).toMatchObject({
      id: "p",
      rows: 2,
      score: [0.75, 0],
      c0: [1.5, null],
      c2: ["a@x", "b@x"],
      c3: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      o0: [[1], [0]],
      o1: [
        [0.25, 0.75],
        [1, 0],
      ],
    });
  });

  it("outputs can be left out", async () => {
    const [header = "", line = ""] = await segment({ outputs: false }, exchange("p"));
    expect(JSON.parse(header)).not.toHaveProperty("outputs");
    expect(JSON.parse(line)).not.toHaveProperty("o0");
  });

  it("redacted fields are empty; hashed ones are equal for equal values and nothing else; what is missing stays so", async () => {
    const key = Buffer.from("k".repeat(32));
    const hashKeyFile = join(folder.path, "key");
    await writeFile(hashKeyFile, key);
    const [header = "", line = "", next = ""] = await segment(
      { redact: ["card", "probabilities"], hash: ["email", "amount", "image"], hashKeyFile },
      exchange("p"),
      exchange("q"),
    );
    const hash = (text: string) => createHmac("sha256", key).update(text).digest("hex").slice(0, 32);
    expect(JSON.parse(header).inputs).toEqual([
      { name: "amount", type: "string", redacted: "hashed" },
      { name: "card", type: "long", redacted: "dropped" },
      { name: "email", type: "string", redacted: "hashed" },
      { name: "image", type: "string", redacted: "hashed" },
    ]);
    const parsed = JSON.parse(line);
    expect(parsed).toMatchObject({
      c0: [hash("1.5"), null],
      c1: [null, null],
      c2: [hash("a@x"), hash("b@x")],
      c3: [hash("[1,2,3,4]"), hash("[5,6,7,8]")],
      o1: [null, null],
      // The score is one of the redacted output's values.
      score: [null, null],
    });
    expect(JSON.parse(next).c2).toEqual(parsed.c2);
    for (const secret of ["a@x", String(large), "0.75"]) expect(header + line + next).not.toContain(secret);
  });

  it("a key is made once beside the segments, for its owner alone; without a place for it hashing is refused", async () => {
    const options = { directory: folder.path, hash: ["email"] };
    const first = createCapture(options, model);
    const keyFile = join(folder.path, ".hash-key");
    const key = await readFile(keyFile);
    const second = createCapture(options, model);
    await Promise.all([first?.close(), second?.close()]);
    expect(await readFile(keyFile)).toEqual(key);
    expect([key.length, (await stat(keyFile)).mode & 0o777]).toEqual([32, 0o600]);
    const nowhere = { hash: ["email"], sagemaker: { directory: folder.path } };
    expect(() => createCapture(nowhere, model)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
    await writeFile(keyFile, "short");
    expect(() => createCapture(options, model)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
  });

  it("KServe's events: binary mode, one id for both, each with its own content type", async () => {
    const target = await receiver(() => 202);
    const capture = createCapture(
      { cloudEvents: { url: target.url, inferenceService: "flüge", namespace: "prod", endpoint: "canary" } },
      model,
    );
    capture?.add(exchange("p-1", bytes));
    await capture?.flush();
    expect(
      target.events.map(({ headers, body }) => [headers["ce-type"], headers["ce-id"], headers["content-type"], body]),
    ).toEqual([
      ["org.kubeflow.serving.inference.request", "p-1", "text/csv", bytes.request.body],
      ["org.kubeflow.serving.inference.response", "p-1", "application/json; charset=utf-8", '{"predictions":[1]}'],
    ]);
    expect(target.events[0]?.headers).toMatchObject({
      "ce-specversion": "1.0",
      "ce-source": "http://localhost:9081/",
      "ce-time": "2026-01-02T03:04:05.600Z",
      "ce-recordedtime": "2026-01-02T03:04:05.600Z",
      "ce-inferenceservicename": "fl%C3%BCge",
      "ce-namespace": "prod",
      "ce-component": "predictor",
      "ce-endpoint": "canary",
    });
    expect(JSON.parse(decodeURIComponent(String(target.events[0]?.headers["ce-metadata"])))).toEqual({
      "x-espalier-model-version": ["3"],
      "x-espalier-prediction-id": ["p-1"],
    });
    expect(capture?.sinks()).toEqual({ cloudevents: { captured: 2, dropped: 0 } });
    await capture?.close();
    await target.close();
  });

  it("events of redacted models are written anew, without what was redacted", async () => {
    const target = await receiver(() => 200);
    const capture = createCapture({ cloudEvents: { url: target.url }, redact: ["email", "label"] }, model);
    capture?.add(exchange("p", { request: { contentType: "application/json", body: '["a@x"]' } }));
    await capture?.flush();
    const [request, response] = target.events.map(({ body }) => JSON.parse(body));
    expect(request.dataframe_split.columns).toEqual(["amount", "card", "email", "image"]);
    expect(request.dataframe_split.data[1]).toEqual([null, 7, null, [5, 6, 7, 8]]);
    expect(response.predictions[0]).toEqual({ label: null, probabilities: [0.25, 0.75] });
    await capture?.close();
    await target.close();
  });

  it("a busy receiver is asked again, one that refuses is not, and what is lost is counted", async () => {
    let status = 503;
    const target = await receiver(() => status);
    const capture = createCapture({ cloudEvents: { url: target.url } }, model);
    capture?.add(exchange("p", bytes));
    while (target.events.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    status = 200;
    await capture?.flush();
    expect(target.events.map(({ headers }) => headers["ce-type"]).slice(1)).toEqual([
      "org.kubeflow.serving.inference.request",
      "org.kubeflow.serving.inference.response",
    ]);
    status = 400;
    capture?.add(exchange("q", bytes));
    await capture?.flush();
    expect(target.events).toHaveLength(4);
    expect(capture?.counts()).toEqual({ captured: 2, dropped: 2 });
    await capture?.close();
    await target.close();
  });

  it("a receiver that stalls holds nobody up; what does not fit into memory is dropped and counted", async () => {
    const target = await receiver(() => "stall");
    const capture = createCapture({ cloudEvents: { url: target.url }, directory: folder.path }, model);
    const body = "x".repeat(1024 * 1024);
    for (let index = 0; index < 100; index++)
      capture?.add(exchange("p", { ...bytes, request: { ...bytes.request, body } }));
    // Segments can be read meanwhile.
    await capture?.flush();
    const { segments, cloudevents } = capture?.sinks() ?? {};
    expect([segments, cloudevents?.captured]).toEqual([{ captured: 200, dropped: 0 }, 0]);
    expect(cloudevents?.dropped).toBeGreaterThan(2 * 30);
    await capture?.close();
    while (capture?.counts().dropped !== 200) await new Promise((resolve) => setTimeout(resolve, 5));
    await target.close();
  });

  it("SageMaker's JSON lines, under endpoint, variant and hour", async () => {
    const directory = join(folder.path, "sagemaker");
    const capture = createCapture({ sagemaker: { directory, endpoint: "flights", variant: "blue" } }, model);
    capture?.add(exchange("p", bytes));
    capture?.add(
      exchange("q", { ...bytes, request: { contentType: "application/octet-stream", body: Uint8Array.of(0, 255) } }),
    );
    await capture?.close();
    const names = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith(".jsonl"));
    expect(names).toEqual([
      expect.stringMatching(/^flights\/blue\/\d{4}\/\d\d\/\d\d\/\d\d\/\d\d-\d\d-\d{3}-[\da-f-]{36}\.jsonl$/),
    ]);
    const lines = (await readFile(join(directory, names[0] ?? ""), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      {
        captureData: {
          endpointInput: { observedContentType: "text/csv", mode: "INPUT", data: bytes.request.body, encoding: "CSV" },
          endpointOutput: {
            observedContentType: "application/json; charset=utf-8",
            mode: "OUTPUT",
            data: '{"predictions":[1]}',
            encoding: "JSON",
          },
        },
        eventMetadata: {
          eventId: expect.stringMatching(/^[\da-f-]{36}$/),
          inferenceId: "p",
          inferenceTime: "2026-01-02T03:04:05Z",
        },
        eventVersion: "0",
      },
      expect.objectContaining({
        captureData: expect.objectContaining({
          endpointInput: {
            observedContentType: "application/octet-stream",
            mode: "INPUT",
            data: "AP8=",
            encoding: "BASE64",
          },
        }),
      }),
    ]);
  });
});
