import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type Client, createClient, type RunDetail } from "@espalier/contract";
import { createPythonEnvironments } from "@espalier/host";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withoutMlflowVariables } from "../../scripts/servers/mlflow-environment.ts";

/** The whole way of a Python model on the embedded stack: trained or logged, registered, its environment built, served behind a router. */
const folder = mkdtempSync(join(tmpdir(), "espalier-python-deploy-"));
const timeout = 600_000;
let plane: StartedControlPlane;
let client: Client;

beforeAll(async () => {
  cpSync(join(import.meta.dirname, "project"), folder, { recursive: true });
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
  client = createClient({ url: plane.url, token: plane.token });
});
afterAll(async () => {
  for (const name of ["clicks", "doubler"]) {
    await client?.call("endpoints.delete", { params: { name } }).catch(() => undefined);
  }
  await plane?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(params: Record<string, string | number>): Promise<RunDetail> {
  const { id } = await client.call("runs.create", { body: { pipeline: "train", params } });
  for await (const _event of client.events("runs.events", { params: { runId: id } }));
  return client.call("runs.get", { params: { runId: id } });
}

async function urlOf(name: string): Promise<string> {
  const { url } = await client.call("endpoints.get", { params: { name } });
  return url ?? "";
}

interface Answer {
  status: number;
  version: string | null;
  predictions: unknown;
}

async function ask(url: string, rows: readonly object[]): Promise<Answer> {
  const response = await fetch(`${url}/invocations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ dataframe_records: rows }),
  });
  const body = (await response.json()) as { predictions?: unknown };
  return {
    status: response.status,
    version: response.headers.get("x-espalier-model-version"),
    predictions: body.predictions ?? body,
  };
}

/** Python workers below this machine's processes that run models of this project. */
function workers(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return command.includes("model_worker.py") && command.includes(folder);
      } catch {
        return false;
      }
    });
}

describe("a Python model on the embedded stack", () => {
  test("a step's scikit-learn model is registered, its environment built, and served", { timeout }, async () => {
    const detail = await run({ bias: 0 });
    expect(detail.run.error).toBeUndefined();
    expect(detail.run.state).toBe("succeeded");
    const answer = await ask(await urlOf("clicks"), [{ x: 1, y: 1 }]);
    expect(answer).toMatchObject({ status: 200, version: "1" });
    expect((answer.predictions as number[])[0]).toBeCloseTo(3, 6);
    expect(workers()).toHaveLength(1);
  });

  test("an environment that can not be built is told in the builder's words, and what is served goes on", {
    timeout,
  }, async () => {
    const detail = await run({ bias: 5, requirement: "no-such-package-of-espalier==9" });
    expect(detail.run.state).toBe("failed");
    const { error } = detail.steps.find(({ step }) => step === "deploy") ?? {};
    expect(error).toMatchObject({ code: "ENVIRONMENT_FAILED" });
    expect(error?.message).toContain("clicks version 2");
    expect(error?.message).toContain("no-such-package-of-espalier");
    expect(await ask(await urlOf("clicks"), [{ x: 1, y: 1 }])).toMatchObject({ status: 200, version: "1" });
  });

  test("versions change and workers are killed under load without a failed request", { timeout }, async () => {
    const url = await urlOf("clicks");
    const failures: Answer[] = [];
    const seen = new Map<string, number>();
    let stopping = false;
    const callers = Array.from({ length: 8 }, async () => {
      while (!stopping) {
        const answer = await ask(url, [{ x: 1, y: 1 }]);
        const expected = answer.version === "1" ? 3 : 103;
        const right = Math.abs((answer.predictions as number[])[0] ?? 0) - expected;
        if (answer.status !== 200 || Math.abs(right) > 1e-6) failures.push(answer);
        seen.set(String(answer.version), (seen.get(String(answer.version)) ?? 0) + 1);
      }
    });
    const until = async (condition: () => boolean) => {
      while (!condition() && failures.length === 0) await delay(20);
    };
    const counted = (version: string) => seen.get(version) ?? 0;
    try {
      for (let kills = 0; kills < 3; kills++) {
        const before = counted("1");
        const [pid = 0] = workers();
        process.kill(pid, "SIGKILL");
        await until(() => counted("1") >= before + 50 && !workers().includes(pid));
      }
      const detail = await run({ bias: 100 });
      expect(detail.run.state).toBe("succeeded");
      await until(() => counted("3") >= 50);
    } finally {
      stopping = true;
      await Promise.all(callers);
    }
    expect(failures).toEqual([]);
    expect(counted("3")).toBeGreaterThanOrEqual(50);
  });

  test("code of one's own, logged and registered by MLflow's client, is deployed", { timeout }, async () => {
    const environments = createPythonEnvironments();
    const lock = await environments.lock(folder, "requirements.txt");
    const python = join(await environments.bin(lock.text), "python");
    await promisify(execFile)(python, [join(folder, "log_registered.py"), plane.url], {
      cwd: folder,
      env: { ...withoutMlflowVariables(), MLFLOW_DISABLE_TELEMETRY: "true" },
    });
    await client.call("endpoints.deploy", {
      params: { name: "doubler" },
      body: { model: "doubler", version: "latest", gate: "none" },
    });
    expect(await ask(await urlOf("doubler"), [{ x: 1 }, { x: 2 }])).toMatchObject({
      status: 200,
      predictions: [
        { twice: 2, word: "small" },
        { twice: 4, word: "big" },
      ],
    });
  });
});
