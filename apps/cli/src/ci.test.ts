import { type StdioOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const actionlint = process.env.ESPALIER_TEST_ACTIONLINT;
const folder = mkdtempSync(join(tmpdir(), "espalier-ci-"));

const files = {
  "espalier.yaml": "project: ci\ndefault_stack: staging\nstacks: { staging: {}, production: {}, a.b: {}, a_b: {} }\n",
  "pipelines/train.yaml": `name: train
params: { rate: 0.5 }
steps:
  fit:
    run: |
      echo '{"type":"metric","key":"auc","value":'\${{ params.rate }}'}' >>"$ESPALIER_EVENTS"
      echo \${{ params.rate }} >\${{ outputs.model }}
    params: [rate]
    outputs: { model: file }
  ask: { uses: approve, when: "params.rate > 1.0", needs: [fit], with: { question: "Go on?" } }
`,
};

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/espalier"), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  chmodSync(join(folder, "bin/espalier"), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function shell(lines: string): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}`, DATABASE_URL: "" };
  // Node's pipes are sockets, and a Bash that has one for its input may take itself for a remote shell's and read bashrc.
  const stdio: StdioOptions = ["ignore", "pipe", "pipe"];
  return spawnSync("bash", ["-euo", "pipefail", "-c", lines], { cwd: folder, env, encoding: "utf8", stdio });
}

test("a workflow is written once, kept as it was changed, and replaced only by force", () => {
  const init = "espalier ci init github --stacks staging,production";
  expect(shell(init)).toMatchObject({ status: 0, stderr: "" });
  const path = join(folder, ".github/workflows/espalier-train.yml");
  const workflow = parse(readFileSync(path, "utf8"));
  expect(Object.keys(workflow.jobs)).toEqual(["check", "on-staging", "on-production"]);
  expect(workflow.jobs["on-production"].needs).toBe("on-staging");
  expect(shell(init).stdout).toContain("unchanged");
  writeFileSync(path, `${readFileSync(path, "utf8")}# mine\n`);
  const refused = shell(init);
  expect(refused.status).toBe(5);
  expect(refused.stderr).toContain("--force");
  expect(readFileSync(path, "utf8")).toContain("# mine");
  expect(shell(`${init} --force`).status).toBe(0);
  expect(shell("espalier ci init github --stacks nowhere").stderr).toContain(
    "Known stacks: staging, production, a.b, a_b.",
  );
  expect(shell("espalier ci init travis").stderr).toContain("There are: github, gitlab.");
});

test("two stacks never share a job, and actions are pinned by commit with their release beside it", () => {
  expect(shell("espalier ci init github --stacks a.b,a_b --force").status).toBe(0);
  const text = readFileSync(join(folder, ".github/workflows/espalier-train.yml"), "utf8");
  const { jobs } = parse(text);
  expect(Object.keys(jobs)).toEqual(["check", "on-a_b", "on-a_b-2"]);
  expect(jobs["on-a_b-2"]).toMatchObject({ needs: "on-a_b", environment: "a_b" });
  const uses = [...text.matchAll(/uses: (.*)$/gm)].map(([, action]) => action);
  expect(uses).toHaveLength(6);
  for (const action of uses) expect(action).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

test("a merge request has one note a pipeline, renewed with each push", async () => {
  expect(shell("espalier ci init gitlab --stacks staging --force").status).toBe(0);
  const pipeline = parse(readFileSync(join(folder, ".gitlab-ci.yml"), "utf8"));
  const note = (pipeline.check.script as string[]).find((line) => line.startsWith("notes=")) ?? "";
  writeFileSync(join(folder, "comment.md"), "<!-- espalier train -->\nthe second time\n");
  const notes = [
    { id: 4, body: "LGTM" },
    { id: 7, body: "<!-- espalier train -->\nthe first time" },
  ];
  const calls: string[] = [];
  // GitLab's API as its description has it: GET, POST .../notes and PUT .../notes/:id.
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url?.split("?")[0]} ${request.headers["private-token"]}`);
    request.resume().on("end", () => response.end(JSON.stringify(request.method === "GET" ? notes : {})));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const variables = { CI_API_V4_URL: `http://127.0.0.1:${port}`, CI_PROJECT_ID: "1", CI_MERGE_REQUEST_IID: "2" };
  const post = async (): Promise<number | null> => {
    const env = { ...process.env, ...variables, ESPALIER_GITLAB_TOKEN: "t" };
    const child = spawn("bash", ["-euo", "pipefail", "-c", note], { cwd: folder, env, stdio: "ignore" });
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  };
  try {
    expect(await post()).toBe(0);
    notes.pop();
    expect(await post()).toBe(0);
  } finally {
    server.close();
  }
  const path = "/projects/1/merge_requests/2/notes";
  expect(calls).toEqual([`GET ${path} t`, `PUT ${path}/7 t`, `GET ${path} t`, `POST ${path} t`]);
});

test.skipIf(actionlint === undefined)(
  `the workflow passes actionlint${actionlint === undefined ? " (skipped: `npm run test:servers -- delivery` builds it)" : ""}`,
  () => {
    expect(shell("espalier ci init github --stacks staging,production --force").status).toBe(0);
    const linted = spawnSync(actionlint ?? "", ["-no-color", ".github/workflows/espalier-train.yml"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(linted.stdout + linted.stderr).toBe("");
    expect(linted.status).toBe(0);
  },
);

test("the lines of a pull request run up to the steps that judge, and say what changed against what was delivered", () => {
  expect(shell("espalier run train -p rate=0.4 --json >/dev/null").status).toBe(0);
  expect(shell("espalier run train -p rate=0.2 --stack production --json >/dev/null").status).toBe(0);
  expect(shell("espalier run train -p rate=0.3 --from fit --json >/dev/null").status).toBe(0);
  expect(shell("espalier ci init gitlab --stacks staging,production --force").status).toBe(0);
  const pipeline = parse(readFileSync(join(folder, ".gitlab-ci.yml"), "utf8"));
  expect(pipeline.stages).toEqual(["check", "on-staging", "on-production"]);
  const lines = (pipeline.check.script as string[]).filter((line) => !line.startsWith("notes="));
  expect(shell(lines.join("\n"))).toMatchObject({ status: 0 });
  const comment = readFileSync(join(folder, "comment.md"), "utf8");
  expect(comment).toContain("`train` on `staging`");
  expect(comment).toContain("0 of 2 steps are cached.");
  expect(comment).toContain("| fit auc | 0.4 | 0.5 | +0.1 |");
  expect(existsSync(join(folder, "run.json"))).toBe(true);
  const detail = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
  const states = detail.steps.map(({ step, state }: { step: string; state: string }) => [step, state]);
  expect(states).toEqual([
    ["fit", "succeeded"],
    ["ask", "skipped"],
  ]);
});
