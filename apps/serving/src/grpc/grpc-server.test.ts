import { join } from "node:path";
import { columnModel, columnSignature, writeModelFolder } from "@espalier/conformance";
import { Client, type ClientUnaryCall, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listen } from "../http/listen.ts";
import { rawGrpcCall } from "../testing/raw-grpc-call.ts";
import { type RunningServer, runServer, temporaryFolder } from "../testing/running-server.ts";
import { framed } from "./frames.ts";
import { createGrpcServer, type GrpcServer } from "./grpc-server.ts";
import {
  empty,
  healthRequest,
  inferRequest,
  inferResponse,
  modelMetadataResponse,
  modelRequest,
  readyResponse,
  repositoryModelRequest,
  streamInferResponse,
} from "./messages.ts";
import type { Schema } from "./schema.ts";

/** With a client of gRPC's own library; its Python clients are in scenarios/serving-clients. */
const service = "/inference.GRPCInferenceService";
const amounts = Buffer.from(new Float64Array([1.5, 2.5]).buffer);
const grades = Buffer.from(new BigInt64Array([0n, 3n]).buffer);
const cities = Buffer.concat(["north", "é"].map((text) => Buffer.concat([lengthOf(text), Buffer.from(text)])));
const heads = [
  { name: "amount", datatype: "FP64", shape: [2] },
  { name: "grade", datatype: "INT64", shape: [2] },
  { name: "city", datatype: "BYTES", shape: [2] },
];
const rawRequest = { model_name: "tiny", id: "call-7", inputs: heads, raw_input_contents: [amounts, grades, cities] };
const typedRequest = {
  model_name: "tiny",
  inputs: [
    { ...heads[0], contents: { fp64_contents: [1.5, 2.5] } },
    { ...heads[1], contents: { int64_contents: [0, 3] } },
    { ...heads[2], contents: { bytes_contents: [Buffer.from("north"), Buffer.from("é")] } },
  ],
};

function lengthOf(text: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(Buffer.byteLength(text));
  return bytes;
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let running: RunningServer;
let grpc: GrpcServer;
let port: number;
let client: Client;

beforeAll(async () => {
  folder = await temporaryFolder();
  const modelDirectory = await writeModelFolder(join(folder.path, "model"), columnModel(), columnSignature);
  const capture = { directory: join(folder.path, "capture"), rate: 0 };
  running = await runServer({ modelDirectory, bodyLimitBytes: 1_000_000, capture });
  grpc = createGrpcServer(running.server.serving);
  port = await listen(grpc.server, "127.0.0.1", 0);
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await grpc.close();
  await running.server.close();
  await folder.remove();
});

interface Answered<Response> {
  response?: Response;
  error?: ServiceError;
  metadata: Metadata;
}

function ask<Request, Response>(
  method: string,
  [asks, request]: [Schema<Request>, Partial<Request>],
  answers: Schema<Response>,
  options: { metadata?: Metadata; deadline?: Date; onCall?(call: ClientUnaryCall): void } = {},
): Promise<Answered<Response>> {
  return new Promise((resolve) => {
    let metadata = new Metadata();
    const call = client.makeUnaryRequest(
      `${service}/${method}`,
      (value: Partial<Request>) => asks.encode(value),
      (bytes: Buffer) => answers.decode(bytes),
      request,
      options.metadata ?? new Metadata(),
      options.deadline === undefined ? {} : { deadline: options.deadline },
      (error, response) => resolve({ metadata, ...(error ? { error } : { response: response as Response }) }),
    );
    call.on("metadata", (given) => {
      metadata = given;
    });
    options.onCall?.(call);
  });
}

const infer = (request: Parameters<typeof inferRequest.encode>[0], options?: Parameters<typeof ask>[3]) =>
  ask("ModelInfer", [inferRequest, request], inferResponse, options);

describe("ModelInfer", () => {
  test("raw inputs are answered raw, with id and version", async () => {
    const { response } = await infer(rawRequest);
    expect(response).toMatchObject({ model_name: "tiny", model_version: "3", id: "call-7" });
    expect(response?.outputs).toMatchObject([{ name: "total", datatype: "FP32", shape: [2, 1] }]);
    const [raw] = response?.raw_output_contents ?? [];
    expect(raw).toEqual(Buffer.from(new Float32Array([101.5, 32.5]).buffer));
  });

  test("typed inputs are answered typed", async () => {
    const { response } = await infer(typedRequest);
    expect(response?.raw_output_contents).toEqual([]);
    expect(response?.outputs[0]?.contents?.fp32_contents).toEqual([101.5, 32.5]);
  });

  test("without an id, or with one that is no id of a prediction, one is made and told", async () => {
    const { response } = await infer({ ...rawRequest, id: "" });
    expect(response?.id).toMatch(/^[0-9A-Z]{26}$/);
    const odd = await infer({ ...rawRequest, id: "an odd id" });
    expect(odd.response?.id).toBe("an odd id");
    expect(String(odd.metadata.get("x-espalier-prediction-id"))).toMatch(/^[0-9A-Z]{26}$/);
  });

  test("the caller's prediction id and capture decision count", async () => {
    const metadata = new Metadata();
    metadata.set("x-espalier-prediction-id", "order-17");
    metadata.set("x-espalier-capture", "1");
    const before = await running.post("/capture/flush", {});
    const { metadata: answered } = await infer(rawRequest, { metadata });
    expect(answered.get("x-espalier-prediction-id")).toEqual(["order-17"]);
    const after = await running.post("/capture/flush", {});
    expect(after.body.captured - before.body.captured).toBe(2);
  });

  test.each([
    ["an unknown model", { ...rawRequest, model_name: "absent" }, status.NOT_FOUND, "absent"],
    ["an unknown version", { ...rawRequest, model_version: "9" }, status.NOT_FOUND, "9"],
    ["no inputs", { model_name: "tiny" }, status.INVALID_ARGUMENT, "inputs"],
    [
      "raw beside typed contents",
      { ...typedRequest, raw_input_contents: [amounts, grades, cities] },
      status.INVALID_ARGUMENT,
      "raw_input_contents",
    ],
    [
      "too few raw contents",
      { ...rawRequest, raw_input_contents: [amounts] },
      status.INVALID_ARGUMENT,
      "raw_input_contents has 1 tensors",
    ],
    [
      "raw contents of a wrong length",
      { ...rawRequest, raw_input_contents: [amounts, grades.subarray(1), cities] },
      status.INVALID_ARGUMENT,
      '"grade"',
    ],
    [
      "half precision that is not raw",
      { model_name: "tiny", inputs: [{ name: "amount", datatype: "FP16", shape: [1] }] },
      status.INVALID_ARGUMENT,
      "raw_input_contents only",
    ],
    [
      "contents in another type's field",
      {
        ...typedRequest,
        inputs: [{ ...heads[0], contents: { fp32_contents: [1, 2] } }, ...typedRequest.inputs.slice(1)],
      },
      status.INVALID_ARGUMENT,
      "contents.fp64_contents",
    ],
    [
      "text that is not UTF-8",
      {
        ...typedRequest,
        inputs: [
          ...typedRequest.inputs.slice(0, 2),
          { ...heads[2], contents: { bytes_contents: [Buffer.from([0xff]), Buffer.from("a")] } },
        ],
      },
      status.INVALID_ARGUMENT,
      "UTF-8",
    ],
    ["an unknown output", { ...rawRequest, outputs: [{ name: "nothing" }] }, status.INVALID_ARGUMENT, "nothing"],
    [
      "shared memory",
      {
        ...rawRequest,
        outputs: [{ name: "total", parameters: new Map([["shared_memory_region", { string_param: "r" }]]) }],
      },
      status.UNIMPLEMENTED,
      "shared memory",
    ],
    [
      "a time that is no time",
      { ...rawRequest, parameters: new Map([["timeout", { string_param: "soon" }]]) },
      status.INVALID_ARGUMENT,
      "timeout",
    ],
  ])("%s is refused by its place", async (_what, request, code, words) => {
    const { error } = await infer(request);
    expect(error?.code).toBe(code);
    expect(error?.details).toContain(words);
    expect((await infer(rawRequest)).error).toBeUndefined();
  });

  test("a row that the model refuses fails alone", async () => {
    const bad = {
      ...rawRequest,
      raw_input_contents: [amounts, Buffer.from(new BigInt64Array([0n, 9n]).buffer), cities],
    };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => infer(index % 5 === 0 ? bad : rawRequest)),
    );
    expect(answers.map(({ error }) => error === undefined)).toEqual(answers.map((_, index) => index % 5 !== 0));
  });

  test("a message above the limit is refused while it is sent", async () => {
    const { error } = await infer({ ...rawRequest, raw_input_contents: [Buffer.alloc(2_000_000), grades, cities] });
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error?.details).toContain("1000000");
    expect((await infer(rawRequest)).error).toBeUndefined();
  });

  test("a deadline that has passed is told", async () => {
    const message = framed(inferRequest.encode(rawRequest));
    const answered = await rawGrpcCall(port, `${service}/ModelInfer`, { "grpc-timeout": "0m" }, message);
    expect(answered["grpc-status"]).toBe(String(status.DEADLINE_EXCEEDED));
  });

  test.each([
    ["no protocol buffer", Buffer.from([0xff, 0xff])],
    ["cut off within a field", Buffer.from([0x0a, 0x7f, 0x61])],
  ])("a message that is %s is refused", async (_what, bytes) => {
    const answered = await rawGrpcCall(port, `${service}/ModelInfer`, {}, framed(bytes));
    expect(answered["grpc-status"]).toBe(String(status.INVALID_ARGUMENT));
  });

  test("a cancelled call leaves the server well", async () => {
    const { error } = await infer(rawRequest, { onCall: (call) => call.cancel() });
    expect(error?.code).toBe(status.CANCELLED);
    expect((await infer(rawRequest)).error).toBeUndefined();
  });
});

describe("ModelStreamInfer", () => {
  const open = () =>
    client.makeBidiStreamRequest(
      `${service}/ModelStreamInfer`,
      (value: Parameters<typeof inferRequest.encode>[0]) => inferRequest.encode(value),
      (bytes: Buffer) => streamInferResponse.decode(bytes),
      new Metadata(),
    );

  test("answers come in order, a failed one among them, more than are worked on at once", async () => {
    const stream = open();
    for (let index = 0; index < 300; index++) {
      stream.write({ ...rawRequest, id: String(index), model_name: index === 150 ? "absent" : "tiny" });
    }
    stream.end();
    const answers: { error_message: string; infer_response: { id?: string } | undefined }[] = [];
    for await (const answer of stream) answers.push(answer);
    expect(answers.map(({ infer_response }) => infer_response?.id)).toEqual(answers.map((_, index) => String(index)));
    expect(answers).toHaveLength(300);
    expect(answers.filter(({ error_message }) => error_message !== "")).toHaveLength(1);
    expect(answers[150]?.error_message).toContain("absent");
  });

  test("a message above the limit ends the stream with its reason", async () => {
    const stream = open();
    stream.write({ ...rawRequest, raw_input_contents: [Buffer.alloc(2_000_000), grades, cities] });
    const error = await new Promise<ServiceError>((resolve) => {
      stream.on("error", resolve);
      stream.resume();
    });
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe("the rest of the service", () => {
  test("readiness and metadata", async () => {
    expect((await ask("ServerReady", [empty, {}], readyResponse)).response).toEqual({ ready: true });
    expect((await ask("ModelReady", [modelRequest, { name: "endpoint" }], readyResponse)).response).toEqual({
      ready: true,
    });
    const { response } = await ask("ModelMetadata", [modelRequest, { name: "tiny" }], modelMetadataResponse);
    expect(response).toMatchObject({ name: "tiny", versions: ["3"], platform: "onnxruntime_onnx" });
    expect(response?.inputs.map(({ name, datatype }) => `${name} ${datatype}`)).toEqual([
      "amount FP64",
      "grade INT64",
      "city BYTES",
    ]);
  });

  test("the health check of gRPC", async () => {
    const check = (name: string) =>
      rawGrpcCall(port, "/grpc.health.v1.Health/Check", {}, framed(healthRequest.encode({ service: name })));
    expect(await check("")).toMatchObject({ "grpc-status": "0" });
    expect(await check("inference.GRPCInferenceService")).toMatchObject({ "grpc-status": "0" });
    expect(await check("other")).toMatchObject({ "grpc-status": String(status.NOT_FOUND) });
  });

  test("models are not loaded from outside unless that is allowed", async () => {
    const { error } = await ask("RepositoryModelLoad", [repositoryModelRequest, { model_name: "tiny" }], empty);
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect(error?.details).toContain("--allow-model-control");
  });

  test("an unknown method is unimplemented, and the known ones are named", async () => {
    const { error } = await ask("TraceSetting", [empty, {}], empty);
    expect(error?.code).toBe(status.UNIMPLEMENTED);
    expect(error?.details).toContain("ModelInfer");
  });
});
