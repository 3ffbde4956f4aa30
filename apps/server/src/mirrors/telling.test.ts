import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { afterEach, expect, test } from "vitest";
import { freePort } from "../../../../scripts/servers/free-port.ts";
import { makeProject, runToEnd, startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";

const collector = process.env["ESPALIER_TEST_COLLECTOR"];
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

// biome-ignore lint/suspicious/noExplicitAny: documents of standards, read by hand.
type Document = any;
interface Heard {
  path: string;
  headers: IncomingHttpHeaders;
  body: Document;
}

/** A service that takes everything but what `answer` gives another status. */
async function listen(
  answer: (heard: Heard, earlier: number) => number = () => 200,
): Promise<{ url: string; heard: Heard[] }> {
  const heard: Heard[] = [];
  let asked = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = {
        path: request.url ?? "",
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString("utf8")),
      };
      const status = answer(one, asked++);
      if (status === 200) heard.push(one);
      response.writeHead(status, { "content-type": "application/json" }).end("{}");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

const pipeline = `name: train
params: { rate: 0.5, fail: false }
steps:
  ingest: { run: "cat \${{ inputs.file }} >\${{ outputs.rows }}", inputs: { file: ./rows.csv }, outputs: { rows: file } }
  fit: { run: "cat \${{ inputs.rows }} >\${{ outputs.model }}", inputs: { rows: ingest.rows }, outputs: { model: file } }
  many: { run: "echo \${{ params.item }}", map: { over: "[1, 2]", as: item } }
  never: { run: "exit 1", when: "params.rate > 1.0" }
  judge: { run: "test \${{ params.fail }} = false", needs: [fit] }
`;

async function startTelling(stack: string) {
  const project = await makeProject({
    "espalier.yaml": `project: flights\ndefault_stack: told\nstacks:\n  told:\n${stack}`,
    "rows.csv": "a,b\n1,2\n",
    "pipelines/train.yaml": pipeline,
  });
  process.env["ESPALIER_SECRET_LINEAGE_TOKEN"] = "hush-hush-hush";
  const plane = await startForTest(project);
  const run = async (body: object): Promise<string> => {
    const { id } = await plane.client.call("runs.create", { body: { pipeline: "train", ...body } });
    await runToEnd(plane.client, id);
    await until("the mirrors are told", async () => {
      const { items } = await plane.client.call("mirrors.list", {});
      return items.every(({ pending }) => pending === 0) || undefined;
    });
    return id;
  };
  return { plane, run };
}

function validator(): (event: Document) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  const folder = join(import.meta.dirname, "golden/openlineage");
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".json")))
    ajv.addSchema(JSON.parse(readFileSync(join(folder, name), "utf8")));
  const check = (url: string, document: Document): void => {
    const valid = ajv.getSchema(url);
    if (valid === undefined) throw new Error(`There is no schema ${url}`);
    expect({ valid: valid(document), of: url, errors: valid.errors }).toEqual({ valid: true, of: url, errors: null });
  };
  return (event) => {
    check(event.schemaURL, event);
    const datasets = [...event.inputs, ...event.outputs].flatMap(({ facets }) => Object.values(facets));
    for (const facet of [
      ...Object.values(event.run.facets),
      ...Object.values(event.job.facets),
      ...datasets,
    ] as Document[])
      check(facet._schemaURL, facet);
  };
}

test("OpenLineage is told of runs and steps: valid by its schemas, one start and one end each, the graph by equal names", async () => {
  // The first is told again, and one that the service will never take holds up no other.
  const service = await listen(({ body }, earlier) => {
    if (earlier === 0) return 503;
    return body.job.name === "train.many" && body.eventType === "COMPLETE" ? 422 : 200;
  });
  const { run } = await startTelling(
    `    lineage: { uses: openlineage, with: { url: "${service.url}/", token_secret: LINEAGE_TOKEN } }\n`,
  );
  const id = await run({ logicalDate: "2001-03-05" });
  const validate = validator();
  for (const { body } of service.heard) validate(body);
  expect(new Set(service.heard.map(({ path }) => path))).toEqual(new Set(["/api/v1/lineage"]));
  expect(service.heard[0]?.headers.authorization).toBe("Bearer hush-hush-hush");
  const of = (job: string) => service.heard.map(({ body }) => body).filter((event) => event.job.name === job);
  const types = (job: string): string[] => of(job).map(({ eventType }) => eventType);
  expect(types("train")).toEqual(["START", "COMPLETE"]);
  expect(types("train.fit")).toEqual(["START", "COMPLETE"]);
  expect(types("train.many")).toEqual(["START"]);
  expect(types("train.never")).toEqual([]);
  const [start, complete] = of("train");
  expect(start.run.runId).toBe(complete.run.runId);
  expect(start).toMatchObject({
    job: { namespace: "espalier:flights", facets: { jobType: { integration: "ESPALIER", jobType: "PIPELINE" } } },
    run: { facets: { nominalTime: { nominalStartTime: "2001-03-05T00:00:00.000Z" } } },
    inputs: [{ name: "./rows.csv" }],
    outputs: [],
  });
  expect(start.run.facets.tags.tags).toContainEqual({ key: "espalier.run_id", value: id, source: "ESPALIER" });
  const [ingested] = of("train.ingest").slice(-1);
  const [fitted] = of("train.fit").slice(-1);
  expect(fitted.run.facets.parent).toMatchObject({ run: { runId: start.run.runId }, job: { name: "train" } });
  expect(fitted.inputs).toEqual(ingested.outputs);
  expect(fitted.outputs[0].facets.version.datasetVersion).toMatch(/^sha256:/);
  expect(complete.outputs).toEqual([...ingested.outputs, ...fitted.outputs]);

  service.heard.length = 0;
  await run({ params: { fail: true } });
  for (const { body } of service.heard) validate(body);
  // From the cache: it begins and ends at once.
  expect(types("train.fit")).toEqual(["START", "COMPLETE"]);
  expect(types("train.judge")).toEqual(["START", "FAIL"]);
  expect(types("train")).toEqual(["START", "FAIL"]);
  expect(of("train.judge")[1].run.facets.errorMessage.message).toContain("exit");
});

/** OpenTelemetry's own collector before the service, when there is one: it takes what the protocol allows, and nothing else. */
async function throughCollector(service: string): Promise<string> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "espalier-collector-"));
  writeFileSync(
    join(folder, "collector.yaml"),
    `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { otlp_http: { endpoint: "${service}", encoding: json, compression: none, sending_queue: { enabled: false } } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { traces: { receivers: [otlp], exporters: [otlp_http] } }
`,
  );
  const child = spawn(collector ?? "", ["--config", `file:${join(folder, "collector.yaml")}`], { stdio: "ignore" });
  const exited = once(child, "exit");
  closers.push(async () => {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await until("the collector listens", () =>
    fetch(url)
      .then(() => true as const)
      .catch(() => {
        if (child.exitCode !== null) throw new Error(`the collector ended with ${child.exitCode}`);
        return undefined;
      }),
  );
  return url;
}

test(`OTLP: a run is a trace, its steps, branches and attempts are spans of it${collector === undefined ? " (no collector between; `npm run test:servers -- traces` builds one)" : ""}`, async () => {
  const service = await listen();
  const url = collector === undefined ? service.url : await throughCollector(service.url);
  const { plane, run } = await startTelling(`    traces: { uses: otlp, with: { url: "${url}" } }\n`);
  const spans = (): Document[] =>
    service.heard.flatMap(({ body }) =>
      body.resourceSpans.flatMap((one: Document) => one.scopeSpans.flatMap((scope: Document) => scope.spans)),
    );
  const id = await run({ params: { fail: true } });
  expect(new Set(service.heard.map(({ path }) => path))).toEqual(new Set(["/v1/traces"]));
  expect(service.heard[0]?.body.resourceSpans[0].resource.attributes).toContainEqual({
    key: "service.name",
    value: { stringValue: "espalier" },
  });
  const first = spans();
  expect(new Set(first.map(({ traceId }) => traceId)).size).toBe(1);
  const names = new Map(first.map(({ spanId, name }) => [spanId, name]));
  expect(names.size).toBe(first.length);
  const tree = first.map(({ name, parentSpanId }) => [name, parentSpanId ? names.get(parentSpanId) : "-"]);
  expect(Object.fromEntries(tree)).toEqual({
    ...{ train: "-", ingest: "train", fit: "train", many: "train", never: "train", judge: "train" },
    ...{ "ingest attempt 1": "ingest", "fit attempt 1": "fit", "judge attempt 1": "judge" },
    ...{ "many[0]": "many", "many[1]": "many", "many[0] attempt 1": "many[0]", "many[1] attempt 1": "many[1]" },
  });
  const named = (name: string): Document => first.find((span) => span.name === name);
  const attributes = (name: string): Record<string, Document> =>
    Object.fromEntries(named(name).attributes.map(({ key, value }: Document) => [key, Object.values(value)[0]]));
  expect(attributes("train")).toMatchObject({
    "cicd.pipeline.run.id": id,
    "cicd.pipeline.result": "failure",
    "espalier.param.rate": 0.5,
    "espalier.param.fail": true,
  });
  expect(attributes("never")).toMatchObject({ "cicd.pipeline.task.run.result": "skip", "espalier.state": "skipped" });
  expect(attributes("judge attempt 1")).toMatchObject({ "process.exit.code": "1", "error.type": "exit" });
  expect(named("train").status).toMatchObject({ code: 2 });
  expect(named("fit").status).toMatchObject({ code: 1 });
  for (const { startTimeUnixNano, endTimeUnixNano } of first)
    expect(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano)).toBe(true);

  service.heard.length = 0;
  const resumed = await plane.client.call("runs.resume", { params: { runId: id }, body: {} });
  await runToEnd(plane.client, resumed.id);
  const root = await until("the resumed run's span", async () => spans().find(({ name }) => name === "train"));
  expect(root.links).toEqual([
    expect.objectContaining({ traceId: named("train").traceId, spanId: named("train").spanId }),
  ]);
});
