import { request } from "node:http";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { startPostgres } from "../../../../scripts/servers/postgres.ts";
import type { ControlPlane } from "../control-plane.ts";
import { makeProject, startForTest } from "../testing/control-plane.ts";
import { mlflowRoutes } from "./routes/all.ts";

/**
 * Whatever is sent to the face, it answers, in MLflow's form, and never with a fault of its own; afterwards it still works. A seed that
 * found something is printed by fast-check: `ESPALIER_FUZZ_SEED` repeats it, `ESPALIER_FUZZ_RUNS` makes it look longer.
 */
const runs = Number(process.env["ESPALIER_FUZZ_RUNS"] ?? 400);
const seed = process.env["ESPALIER_FUZZ_SEED"];
const settings = {
  numRuns: runs,
  ...(seed === undefined ? {} : { seed: Number(seed) }),
  // The usual report holds every counterexample whole, which here may be megabytes.
  reporter: ({
    failed,
    seed: used,
    errorInstance,
  }: {
    failed: boolean;
    seed: number;
    errorInstance: unknown;
  }): void => {
    if (failed) throw new Error(`seed ${used}: ${String(errorInstance).slice(0, 3000)}`);
  },
};
const postgres = await startPostgres();
if ("stop" in postgres) afterAll(() => postgres.stop());
const databases: [string, string | undefined][] = [
  ["SQLite", ""],
  ["PostgreSQL", "url" in postgres ? postgres.url : undefined],
];

const behind: unknown = new Proxy(() => behind, { get: () => behind, apply: () => behind });
const routes = mlflowRoutes(behind as ControlPlane);

/** Members that some route reads; the others are for what it should ignore. */
const members =
  "run_id run_uuid experiment_id experiment_ids experiment_name name new_name key value timestamp step tags params metrics models run_name " +
  "user_id start_time end_time status filter filter_string order_by max_results page_token run_view_type view_type path version source alias " +
  "stage stages archive_existing_versions description artifact_location model_id model_ids model_json datasets dataset tag_key metric_key " +
  "run_ids start_step end_step parts part_number num_parts upload_id events url secret webhook_id trace_id request_id trace_ids trace spans " +
  "locations assessment assessment_id request_metadata execution_time_ms timestamp_ms state info inputs outputs model_inputs model_outputs " +
  "source_run_id model_type model_name metric_keys dataset_name dataset_digest entity field_name ascending allow_deleted action is_nan digest " +
  "source_type schema profile feedback expectation rationale metadata start_time_ms end_time_ms max_timestamp_millis __proto__ constructor";

/** What is there, so that a random request also gets beyond the first look-up. */
interface Known {
  ids: string[];
}

function requests({ ids }: Known) {
  const text = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...ids) },
    { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
    fc.constantFrom(
      "",
      "\0",
      "a\0b",
      "\ud800",
      "..",
      "../../etc/passwd",
      "%2e%2e%2f",
      "a".repeat(300),
      "é".repeat(9000),
      "NaN",
      "-Infinity",
      "1e999",
      "99999999999999999999999",
      "-9223372036854775808",
      "null",
      "{}",
      "true",
      "'; DROP TABLE runs; --",
    ),
    fc.constantFrom(
      "metrics.a > 1 and params.b = 'c'",
      "metrics.`a b` != 0.5",
      "tags.x LIKE '%\\%'",
      "attributes.run_id IN ('a','b')",
      "attributes.start_time > 99999999999999999999",
      "name ILIKE '%_' and version_number > 1",
      "metrics.a > (((",
      "metrics.a = 'b",
      "a".repeat(20_000),
      "metrics.a > 1 AND ".repeat(500),
      "metrics.a DESC",
      "params.`x` ASC",
      "attributes.nothing",
      "eyJvZmZzZXQiOjF9",
      "eyJvZmZzZXQiOi0xfQ==",
      "bm90IGpzb24=",
    ),
    fc.constantFrom(
      "ALL",
      "DELETED_ONLY",
      "FINISHED",
      "Production",
      "latest",
      "v1",
      "models:/m/1",
      "file:///etc",
      "runs:/x",
    ),
  );
  const number = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -1, 1, 2 ** 53, -(2 ** 63), 1e308, 50_001, 0.5),
  );
  const scalar = fc.oneof({ weight: 4, arbitrary: text }, number, fc.boolean(), fc.constant(null));
  const name = fc.oneof(
    { weight: 10, arbitrary: fc.constantFrom(...members.split(" ")) },
    fc.string({ unit: "binary", maxLength: 5 }),
  );
  const { value } = fc.letrec<{ value: unknown; object: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalar,
      fc.array(tie("value"), { maxLength: 5 }),
      tie("object"),
      fc.array(tie("object"), { maxLength: 5 }),
    ),
    object: fc.dictionary(name, tie("value"), { maxKeys: 6 }),
  }));
  const body = fc.oneof(
    { weight: 10, arbitrary: fc.dictionary(name, value, { maxKeys: 10 }).map((object) => JSON.stringify(object)) },
    value.map((any) => JSON.stringify(any)),
    value.map((any) => JSON.stringify(JSON.stringify(any))),
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.constantFrom(
      "",
      "{",
      '{"run_id":',
      "[".repeat(100_000),
      `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
      '{"value":NaN,"key":"a"}',
      '{"timestamp":99999999999999999999999999999999}',
      '{"step":-9223372036854775809}',
    ),
  );
  const query = fc
    .array(fc.tuple(name, scalar), { maxLength: 6 })
    .map((pairs) => pairs.map(([key, one]) => `${escaped(key)}=${escaped(String(one))}`).join("&"));
  const contentType = fc.oneof(
    { weight: 12, arbitrary: fc.constant("application/json") },
    fc.constantFrom("application/json; charset=utf-16", "text/plain", "multipart/form-data", "", 'a/b; c="', "x"),
  );
  const route = fc.constantFrom(...routes.map(({ handle: _, ...route }) => route));
  return fc.record({
    method: fc.oneof(
      { weight: 20, arbitrary: fc.constant("") },
      fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"),
    ),
    prefix: fc.constantFrom("/api", "/ajax-api"),
    route,
    parts: fc.array(text, { minLength: 3, maxLength: 3 }),
    query,
    contentType,
    body,
  });
}
type FuzzRequest = ReturnType<typeof requests> extends fc.Arbitrary<infer One> ? One : never;

/** As encodeURIComponent, which throws on half a surrogate pair. */
const escaped = (text: string): string => encodeURIComponent(text.toWellFormed());

function pathOf({ prefix, route, parts, query }: FuzzRequest): string {
  let index = 0;
  const path = route.path.replaceAll(/:[A-Za-z_]+/g, () => escaped(parts[index++ % parts.length] ?? "") || "x");
  return `${prefix}/${route.api}${path}${query === "" ? "" : `?${query}`}`;
}

interface Answer {
  status: number;
  type: string;
  text: string;
}

/** Not fetch: it mends paths and headers before it sends them. */
function send(
  url: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(body);
    // Refused before all of it is sent: the connection may be gone before the answer is read.
    const isTooLong = bytes.length > 1024 * 1024 || path.length > 8000;
    const sent = request(
      { agent: false, hostname, port, method, path, headers: { ...headers, "content-length": bytes.length } },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, type: response.headers["content-type"] ?? "", text }),
        );
        response.on("error", reject);
      },
    );
    sent.setTimeout(20_000, () => sent.destroy(new Error(`${method} ${path.slice(0, 200)} got no answer`)));
    sent.on("error", (error) => {
      if (isTooLong && "code" in error && /^(ECONNRESET|EPIPE|HPE_.*)$/.test(String(error.code))) {
        resolve({ status: 413, type: "", text: '{"error_code":"-","message":"-"}' });
      } else reject(error);
    });
    sent.end(bytes);
  });
}

/** By design: not offered, or for the moment unable. */
const mayFail = ({ status }: Answer): boolean => status === 501 || status === 503;
const leaks =
  /\n\s+at .+:\d+|node_modules|SELECT |INSERT |UPDATE .* SET|SQLITE_|syntax error at or near|\/tmp\/|\.ts:\d+/;

async function prepare(url: string): Promise<Known> {
  const post = async (path: string, body: object): Promise<Record<string, never>> => {
    const answer = await send(url, "POST", path, { "content-type": "application/json" }, JSON.stringify(body));
    return answer.status === 200 ? JSON.parse(answer.text) : {};
  };
  const api = "/api/2.0/mlflow";
  const experiment = await post(`${api}/experiments/create`, { name: "fuzzed" });
  const made = await post(`${api}/runs/create`, { experiment_id: experiment["experiment_id"] });
  const { run } = made as { run?: { info: { run_id: string } } };
  await post(`${api}/registered-models/create`, { name: "m" });
  await post(`${api}/model-versions/create`, { name: "m", source: "mlflow-artifacts:/1/x/artifacts/model" });
  const logged = (await post(`${api}/logged-models`, { experiment_id: experiment["experiment_id"], name: "l" })) as {
    model?: { info: { model_id: string } };
  };
  const ids = [experiment["experiment_id"], run?.info.run_id, logged.model?.info.model_id];
  return { ids: ["0", "1", "m", "fuzzed", ...ids.filter((id) => id !== undefined)] };
}

test.each(databases)("no request makes a fault, on %s", async (_name, databaseUrl) => {
  if (databaseUrl === undefined) return;
  const { url } = await startForTest(await makeProject({}), { databaseUrl });
  const known = await prepare(url);
  expect(known.ids.length).toBeGreaterThan(5);
  await fc.assert(
    fc.asyncProperty(requests(known), async (one) => {
      const method = one.method === "" ? one.route.method : one.method;
      const path = pathOf(one);
      const headers = one.contentType === "" ? {} : { "content-type": one.contentType };
      const answer = await send(url, method, path, headers, method === "GET" || method === "HEAD" ? "" : one.body);
      const shown = `${method} ${path.slice(0, 300)} ${one.body.slice(0, 1000)} answered ${answer.status} ${answer.text.slice(0, 500)}`;
      expect(answer.status < 500 || mayFail(answer), shown).toBe(true);
      // Node's own answer to a head that is too long is no JSON.
      if (answer.status >= 400 && answer.status !== 431 && method !== "HEAD") {
        const { error_code: code, message } = JSON.parse(answer.text) as { error_code: unknown; message: unknown };
        expect(typeof code === "string" && typeof message === "string", shown).toBe(true);
        expect(answer.text, shown).not.toMatch(leaks);
      }
    }),
    settings,
  );
  const health = await send(url, "GET", "/health", {}, "");
  expect(health.status).toBe(200);
});
