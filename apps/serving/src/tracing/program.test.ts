import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { expect, it } from "vitest";
import { temporaryFolder } from "../testing/running-server.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

it("router and model server send one trace to a collector, and log by request what went wrong or slow", async () => {
  const spans: Record<string, string>[] = [];
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      for (const { scopeSpans } of JSON.parse(Buffer.concat(chunks).toString()).resourceSpans)
        spans.push(...scopeSpans[0].spans);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port: collectorPort } = collector.address() as AddressInfo;
  const folder = await temporaryFolder();
  const children: ChildProcess[] = [];
  const output = { model: "", router: "" };
  async function start(name: "model" | "router", ...words: string[]): Promise<number> {
    const announce = join(folder.path, `${name}.json`);
    const child = spawn(process.execPath, [main, name, ...words, "--announce", announce], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env.PATH,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}`,
        OTEL_BSP_SCHEDULE_DELAY: "50",
      },
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      output[name] += chunk.toString();
    });
    children.push(child);
    for (;;) {
      const text = await readFile(announce, "utf8").catch(() => undefined);
      if (text !== undefined) return (JSON.parse(text) as { port: number }).port;
      expect(child.exitCode, output[name]).toBe(null);
      await delay(20);
    }
  }
  try {
    const at = await writeModelFolder(join(folder.path, "model"), logisticModel([1], 0), matrixSignature(["a"]));
    const port = await start("model", "--model-dir", at, "--name", "m", "--version", "4", "--slow-seconds", "0");
    const state = join(folder.path, "state.json");
    const versions = [{ key: "k", model: "m", version: "4", port, weight: 1 }];
    await writeFile(state, JSON.stringify({ format: 1, endpoint: "e", generation: 1, captureRate: 0, versions }));
    const routerPort = await start("router", "--state", state);
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const answer = await fetch(`http://127.0.0.1:${routerPort}/invocations`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
        "x-espalier-prediction-id": "secret-free",
      },
      body: '{"instances":[[0.123456789]]}',
    });
    expect(answer.status).toBe(200);
    while (!["route", "predict", "queue", "infer"].every((name) => spans.some((span) => span.name === name)))
      await delay(10);
    const route = spans.find(({ name }) => name === "route");
    expect(route).toMatchObject({ traceId, parentSpanId: "00f067aa0ba902b7" });
    expect(spans.find(({ name }) => name === "predict")).toMatchObject({ traceId, parentSpanId: route?.spanId });
    const lines = output.model
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: "warn",
        message: "slow request",
        protocol: "mlflow",
        status: 200,
        model: "m",
        version: "4",
        predictionId: "secret-free",
        requestId: "secret-free",
        traceId,
      }),
    );
    expect(output.model).not.toContain("0.123456789");
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => child.exitCode ?? once(child, "close")));
    await new Promise((resolve) => collector.close(resolve));
    await folder.remove();
  }
});
