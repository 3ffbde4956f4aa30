import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "espalier-detach-"));
  mkdirSync(join(project, "pipelines"));
  writeFileSync(join(project, "espalier.yaml"), "project: detached\ndefault_stack: laptop\nstacks:\n  laptop: {}\n");
  writeFileSync(
    join(project, "pipelines/hello.yaml"),
    "name: hello\nsteps:\n  greet:\n    run: echo hello | tee ${{ outputs.text }}\n    outputs: { text: file }\n",
  );
});
afterEach(() => {
  process.kill(JSON.parse(readFileSync(join(project, ".espalier/owner.json"), "utf8")).pid, "SIGTERM");
  rmSync(project, { recursive: true, force: true, maxRetries: 5 });
});

function espalier(...words: string[]): { code: number | null; out: string; err: string } {
  const main = resolve(import.meta.dirname, "main.ts");
  const result = spawnSync(process.execPath, [main, ...words], { cwd: project, encoding: "utf8" });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

test("a detached run is driven by a background control plane, which later commands use", () => {
  const started = espalier("run", "--detach", "--json");
  expect(started.err).toBe("");
  const { id } = JSON.parse(started.out);
  expect(espalier("logs", `${id}/greet`, "--follow")).toEqual({ code: 0, out: "hello\n", err: "" });
  expect(JSON.parse(espalier("resume", id, "--json").out).run.state).toBe("succeeded");
});
