import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const collectorVersion = "0.165.0";
const source = join(import.meta.dirname, "collector");
const folder = resolve(import.meta.dirname, `../../node_modules/.cache/espalier-servers/collector-${collectorVersion}`);

/** Builds OpenTelemetry's collector, with its OTLP receiver and exporter, once with Go; the reason when that is not possible. */
export function findCollector(): { path: string } | { skipped: string } {
  const path = join(folder, "collector");
  if (existsSync(path)) return { path };
  if (spawnSync("go", ["version"]).status !== 0)
    return { skipped: "Go is not installed, and the collector is built with it" };
  mkdirSync(folder, { recursive: true });
  process.stderr.write(`building the OpenTelemetry collector ${collectorVersion} (once, a minute or two)\n`);
  const built = spawnSync("go", ["build", "-o", path, "."], { cwd: source, encoding: "utf8" });
  return built.status === 0 ? { path } : { skipped: `go build failed: ${built.stderr.trim().split("\n").at(-1)}` };
}
