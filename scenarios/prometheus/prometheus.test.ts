import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openRecord, type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../../scripts/servers/free-port.ts";
import { writeProject } from "../faults/plane.ts";

const skipped = process.env.ESPALIER_TEST_PROMETHEUS === undefined;
const reason = skipped ? " (skipped: needs its programs; `npm run test:servers -- prometheus` installs them)" : "";
const cli = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
let folder = "";
let plane: StartedControlPlane | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  if (skipped) return;
  folder = mkdtempSync(join(tmpdir(), "espalier-prometheus-"));
  const port = await freePort();
  writeProject(join(folder, "project"), {
    "espalier.yaml": `project: flights
control_plane: { url: "http://127.0.0.1:${port}", port: ${port} }
monitors:
  inputs: { endpoint: flights, kind: drift, window: 7d, thresholds: { psi: 0.2 }, with: { reference: features.train } }
`,
  });
  mkdirSync(join(folder, "out"));
  plane = await startControlPlane({ projectDirectory: join(folder, "project"), databaseUrl: "", port });
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  await plane?.close();
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

/** Not `spawnSync`: the control plane that a command asks runs in this process. */
async function run(program: string, ...words: string[]) {
  const child = spawn(program, words, { cwd: join(folder, "out") });
  const read = async (stream: NodeJS.ReadableStream): Promise<string> => {
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  const [stdout, stderr] = await Promise.all([read(child.stdout), read(child.stderr)]);
  if (child.exitCode === null) await once(child, "exit");
  return { status: child.exitCode, stdout, stderr };
}
const start = (program: string, ...words: string[]): void => {
  children.push(spawn(program, words, { cwd: join(folder, "out"), stdio: "ignore" }));
};

describe.skipIf(skipped)(`Prometheus and Alertmanager${reason}`, () => {
  test("take the generated files, and an alert of a monitor arrives at the webhook", async () => {
    const heard: { alerts: { status: string; labels: Record<string, string> }[] }[] = [];
    const webhook = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        heard.push(JSON.parse(Buffer.concat(chunks).toString("utf8")));
        response.end();
      });
    }).listen(0, "127.0.0.1");
    await once(webhook, "listening");
    try {
      const [alertmanagerPort, prometheusPort] = [await freePort(), await freePort()];
      const words = ["--alertmanager", `127.0.0.1:${alertmanagerPort}`, "--out", join(folder, "out")];
      const address = `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`;
      const exported = await run(
        process.execPath,
        cli,
        ...["monitor", "export", "prometheus", "--webhook", address, "--project", join(folder, "project"), ...words],
      );
      expect(exported.stderr).toBe("");
      expect(await run("promtool", "check", "config", "prometheus.yml")).toMatchObject({ status: 0 });
      expect((await run("promtool", "check", "rules", "espalier.rules.yml")).stdout).toContain("SUCCESS");
      expect(await run("amtool", "check-config", "alertmanager.yml")).toMatchObject({ status: 0 });

      await report("alert");
      const storage = ["--storage.path=alertmanager", "--cluster.listen-address="];
      start(
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
        ...storage,
      );
      const own = ["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"];
      start("prometheus", ...own, `--web.listen-address=127.0.0.1:${prometheusPort}`);
      await vi.waitUntil(() => heard.length > 0, { timeout: 120_000, interval: 200 });
      expect(heard[0]?.alerts[0]).toMatchObject({
        status: "firing",
        labels: { alertname: "EspalierMonitorAlert", monitor: "inputs", endpoint: "flights", project: "flights" },
      });
    } finally {
      webhook.close();
    }
  });

  test("the dashboard's expressions are Prometheus'", async () => {
    const words = ["monitor", "export", "grafana", "--project", join(folder, "project"), "--out", join(folder, "out")];
    expect(await run(process.execPath, cli, ...words)).toMatchObject({ status: 0, stderr: "" });
    const { panels } = JSON.parse(readFileSync(join(folder, "out/espalier-flights.json"), "utf8"));
    const expressions = panels.flatMap((panel: { targets: { expr: string }[] }) =>
      panel.targets.map(({ expr }) => expr),
    );
    expect(expressions.length).toBeGreaterThan(0);
    const rules = expressions.map((expr: string, index: number) => ({ record: `a:b${index}`, expr }));
    writeFileSync(join(folder, "out/dashboard.rules.yml"), JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    expect((await run("promtool", "check", "rules", "dashboard.rules.yml")).stdout).toContain(
      `${expressions.length} rules found`,
    );
  });
});

/** As a monitor leaves it on record. */
async function report(status: "alert"): Promise<void> {
  const record = await openRecord({ sqlitePath: join(folder, "project/.espalier/record.db") }, "flights");
  try {
    const end = Date.now();
    await record.monitors.saveReport({
      monitor: "inputs",
      windowStart: end - 7 * 86_400_000,
      windowEnd: end,
      status,
      report: { summary: "psi of hour is 0.31", rows: 1_000, results: {} },
    });
  } finally {
    await record.close();
  }
}
