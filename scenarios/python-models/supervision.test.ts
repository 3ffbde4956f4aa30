import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LoggedModels, logModels } from "./models.ts";
import { type ServedModel, serveModel } from "./serve.ts";

let models: LoggedModels | undefined;
const started: ServedModel[] = [];

beforeAll(async () => {
  const logged = await logModels();
  if ("skipped" in logged) console.warn(logged.skipped);
  else models = logged;
});
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});
afterAll(() => models?.remove());

async function serve(logged: LoggedModels, name: string, ...flags: string[]): Promise<ServedModel> {
  const server = await serveModel(logged.folder(name), logged.python, ...flags);
  started.push(server);
  return server;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Workers that say in their command line whose they are. */
function workersOf(server: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false;
      const command = isAlive(pid) ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
      return command.includes("model_worker.py") && command.includes(`"parent":${server}`);
    });
}

const one = (what: number) => ({ dataframe_records: [{ what }] });

describe("a Python worker", () => {
  test("is nobody, can become nobody else, and knows no secret of ours", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const server = await serve(models, "trap");
    const pid = server.workers().at(-1) as number;
    const { body } = await server.post("/invocations", { dataframe_records: [{ what: -7 }, { what: 0 }] });
    const uid = process.getuid?.() === 0 ? 65534 : process.getuid?.();
    expect(body).toEqual({ predictions: [uid, pid] });
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
    expect(environment).toContain("PATH=");
    expect(environment).not.toContain("SECRET_OF_OURS");
    // A pickle runs code where it is loaded: there, and not in the server's own process.
    const loaded = server.lines.map(({ message }) => /^unpickled in process (\d+)$/.exec(String(message))?.[1]);
    expect(loaded.filter((found) => found !== undefined)).toEqual([String(pid)]);
    expect(pid).not.toBe(server.process.pid);
  });

  test("that a row ends, hangs or fills up costs that row alone", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const limits = ["--python-timeout-seconds", "3", "--python-memory-bytes", String(700 * 1024 * 1024)];
    const server = await serve(models, "naughty", ...limits);
    const ask = (what: number) => server.post("/invocations", one(what));
    const faults: [number, number, string][] = [
      [-1, 400, "not this value"],
      [-2, 400, "ended the model's worker 4 times"],
      [-3, 504, "took longer than 3 s"],
      [-4, 413, "limit of memory"],
      [-5, 400, "2 values (predictions) for 1 rows"],
      [-6, 400, "SystemExit"],
    ];
    for (const [what, status, message] of faults) {
      const [fault, ...others] = await Promise.all([ask(what), ...Array.from({ length: 8 }, (_, index) => ask(index))]);
      expect([what, fault?.status, fault?.body.message]).toEqual([what, status, expect.stringContaining(message)]);
      expect(others.map(({ status: other, body }) => [other, body.predictions?.[0]])).toEqual(
        others.map((_, index) => [200, index * 2]),
      );
    }
    expect(server.process.exitCode).toBeNull();
  });

  test("shares a run between requests, and one bad row among them fails alone", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const server = await serve(models, "pipeline");
    const ask = (origin: string, miles: number) =>
      server.post("/invocations", { dataframe_records: [{ origin, miles, late: true }] });
    const before = await batches(server);
    const answers = await Promise.all(Array.from({ length: 64 }, (_, index) => ask("JFK", index)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const alone = await ask("JFK", 17);
    expect(answers[17]?.body.predictions[0]).toBeCloseTo(alone.body.predictions[0], 9);
    const after = await batches(server);
    expect(after.rows - before.rows).toBe(65);
    expect(after.runs - before.runs).toBeLessThan(65);
  });

  test("is what readiness is about, and its end is no end of a request", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const server = await serve(models, "unsigned-array");
    const readiness = async () => (await fetch(`${server.url}/v2/health/ready`)).status;
    expect(await readiness()).toBe(200);
    process.kill(server.workers().at(-1) as number, "SIGKILL");
    const waiting = server.post("/invocations", { instances: [[1, 2, 3, 4]] });
    await until(async () => (await readiness()) === 503);
    for (const path of ["/v1/models/m", "/v2/models/m/ready"]) {
      const model = await fetch(server.url + path);
      // It may have come back meanwhile.
      if ((await readiness()) === 503) expect([path, model.status]).toEqual([path, 503]);
    }
    const answer = await waiting;
    expect([answer.status, answer.body.predictions[0]]).toEqual([200, expect.closeTo(30, 6)]);
    expect(await readiness()).toBe(200);
    // The next one is still loading when the server is told to stop.
    const victim = server.workers().at(-1) as number;
    process.kill(victim, "SIGKILL");
    await until(async () => (await readiness()) === 503);
    expect(await server.stop()).toBe(0);
    expect(workersOf(server.process.pid as number)).toEqual([]);
  });

  test("holds bodies that MLflow reads itself to the same queue and deadlines", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const server = await serve(models, "unsigned-array", "--max-queue-requests", "1");
    const ask = (headers: Record<string, string> = {}) =>
      fetch(`${server.url}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ instances: [[1, 2, 3, 4]] }),
      });
    const gauge = async (name: string): Promise<number> => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(new RegExp(`^espalier_serving_${name}_requests\\{[^}]*\\} (\\d+)`, "m").exec(text)?.[1] ?? 0);
    };
    const worker = server.workers().at(-1) as number;
    process.kill(worker, "SIGSTOP");
    const running = ask({ "x-espalier-prediction-id": "order-17" });
    await until(async () => (await gauge("in_flight")) === 1);
    expect((await ask({ "x-request-timeout-ms": "200" })).status).toBe(504);
    const waiting = ask();
    await until(async () => (await gauge("queue")) === 1);
    const refused = await ask();
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    process.kill(worker, "SIGCONT");
    expect((await waiting).status).toBe(200);
    const { status, headers } = await running;
    const told = ["x-espalier-prediction-id", "x-espalier-model-version", "x-request-id"].map((name) =>
      headers.get(name),
    );
    expect([status, ...told]).toEqual([200, "order-17", "1", "order-17"]);
  });

  test("leaves with its server, whether that is told to stop or killed", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const stopped = await serve(models, "naughty", "--python-workers", "2");
    await until(() => stopped.workers().length === 2);
    const pids = stopped.workers();
    const late = stopped.post("/invocations", one(3));
    expect((await late).status).toBe(200);
    expect(await stopped.stop()).toBe(0);
    expect(pids.filter(isAlive)).toEqual([]);

    const killed = await serve(models, "naughty");
    const [pid = 0] = killed.workers();
    expect(isAlive(pid)).toBe(true);
    killed.process.kill("SIGKILL");
    await until(() => !isAlive(pid));
  });

  test("that can not begin is an error that says what to do", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const { python, folder } = models;
    await expect(serveModel(folder("naughty"), undefined)).rejects.toMatchObject({
      code: "NOT_INSTALLED",
      hint: expect.stringContaining("--python"),
    });
    await expect(serveModel(folder("unloadable"), python)).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringContaining("its weights are gone"),
    });
    await expect(serveModel(folder("naughty"), "/nowhere/bin/python")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const bare = execFileSync("sh", ["-c", "command -v python3"], { encoding: "utf8" }).trim();
    await expect(serveModel(folder("naughty"), bare)).rejects.toMatchObject({
      code: "ENVIRONMENT_FAILED",
      message: expect.stringContaining("mlflow"),
    });
    const closed = join(folder("naughty"), "..", "closed");
    execFileSync("cp", ["-r", folder("naughty"), closed]);
    execFileSync("chmod", ["700", closed]);
    if (process.getuid?.() !== 0) return;
    await expect(serveModel(closed, python)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      hint: expect.stringContaining("chmod"),
    });
  });

  test("killed 20 times under load: not one request fails", async ({ skip }) => {
    if (models === undefined) return skip("MLflow is not installed here");
    const server = await serve(models, "classifier", "--python-workers", "2");
    await until(() => server.workers().length === 2);
    const failures: unknown[] = [];
    let answered = 0;
    let stopping = false;
    const body = { dataframe_records: [{ a: 1, b: 1, c: 0, d: 0 }] };
    const callers = Array.from({ length: 16 }, async () => {
      while (!stopping) {
        const answer = await server.post("/invocations", body);
        if (answer.status === 200 && answer.body.predictions[0] === 1) answered++;
        else failures.push(answer);
      }
    });
    const victims = new Set<number>();
    // One that was killed and not buried yet still counts as alive; killed twice, it would be one kill less.
    const living = () => server.workers().filter((worker) => !victims.has(worker) && isAlive(worker));
    while (victims.size < 20 && failures.length === 0) {
      const seen = answered;
      await until(() => failures.length > 0 || (answered >= seen + 20 && living().length > 0));
      for (const victim of living().slice(0, 1)) {
        victims.add(victim);
        process.kill(victim, "SIGKILL");
      }
    }
    const atLast = answered;
    await until(() => failures.length > 0 || (answered >= atLast + 100 && server.workers().length >= 22));
    stopping = true;
    await Promise.all(callers);
    expect(failures).toEqual([]);
    expect(server.workers().length).toBeGreaterThanOrEqual(22);
    expect(answered).toBeGreaterThan(500);
  }, 600_000);
});

/** Rows and runs as the server counts them. */
async function batches(server: ServedModel): Promise<{ rows: number; runs: number }> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, "m").exec(text)?.[1] ?? 0);
  return { rows: value("espalier_serving_batch_rows_sum"), runs: value("espalier_serving_batch_rows_count") };
}
