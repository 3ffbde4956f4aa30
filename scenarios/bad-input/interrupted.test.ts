import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { espalier, makeProject, pipeline, start } from "./command-line.ts";

const threeSteps = pipeline(
  "p",
  `  first: { run: "echo 1 >\${{ outputs.o }}", outputs: { o: file } }
  slow:
    run: "echo try >>\${{ checkpoint.dir }}/tries; until [ -e ../../../../go ]; do sleep 0.05; done; cp \${{ checkpoint.dir }}/tries \${{ outputs.o }}"
    checkpoint: true
    inputs: { x: first.o }
    outputs: { o: file }
  last: { run: "cat \${{ inputs.x }}", inputs: { x: slow.o } }`,
);

test("a killed owner's run goes on: the step was not disturbed", async () => {
  const folder = makeProject({ "pipelines/p.yaml": threeSteps });
  const running = start(folder, ["run"]);
  await running.printed("slow   running");
  running.child.kill("SIGKILL");
  await running.ended;
  writeFileSync(join(folder, "go"), "");
  const said = await espalier(folder, "resume");
  expect(said.code, said.text).toBe(0);
  expect((await espalier(folder, "logs", "latest", "last")).text).toBe("try\n");
  expect((await espalier(folder, "run")).text).toContain("3 cached");
});

test("Ctrl-C cancels with 130, and resume goes on in a new run", async () => {
  const folder = makeProject({ "pipelines/p.yaml": threeSteps });
  const running = start(folder, ["run"]);
  await running.printed("slow   running");
  running.child.kill("SIGINT");
  const said = await running.ended;
  expect(said.code, said.text).toBe(130);
  expect(said.text).toContain("espalier resume");
  writeFileSync(join(folder, "go"), "");
  const resumed = await espalier(folder, "resume");
  expect(resumed.code, resumed.text).toBe(0);
  expect(resumed.text).toMatch(/first +cached/);
});

test("commands at once on one project: none fails", async () => {
  const folder = makeProject({ go: "", "pipelines/p.yaml": threeSteps });
  const all = await Promise.all([
    espalier(folder, "run"),
    espalier(folder, "run"),
    espalier(folder, "runs", "list"),
    espalier(folder, "dataset", "log", "d", "espalier.yaml"),
  ]);
  expect(all.map(({ code, text }) => (code === 0 ? "" : text))).toEqual(["", "", "", ""]);
});

test("one flipped byte: the read names it, doctor finds it, --repair moves it aside, a run makes it whole", async () => {
  const steps = `  make: { run: "seq 9999 >\${{ outputs.o }}", outputs: { o: file } }
  use: { run: "echo \${{ params.n }}; wc -l <\${{ inputs.x }} >\${{ outputs.o }}", inputs: { x: make.o }, outputs: { o: value } }`;
  const folder = makeProject({ "pipelines/p.yaml": `params: { n: 1 }\n${pipeline("p", steps)}` });
  expect((await espalier(folder, "run")).code).toBe(0);
  const blobs = join(folder, ".espalier", "store", "blobs");
  const paths = readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const largest = paths.reduce((a, b) => (statSync(a).size > statSync(b).size ? a : b));
  const bytes = readFileSync(largest);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  chmodSync(largest, 0o644);
  writeFileSync(largest, bytes);
  const digest = largest.split("/").slice(-2).join("");
  const read = await espalier(folder, "run", "-p", "n=2");
  expect(read.code, read.text).toBe(8);
  expect(read.text).toContain(digest);
  expect(read.text).toContain("espalier doctor --repair");
  const found = await espalier(folder, "doctor", "--deep");
  expect(found.code, found.text).toBe(3);
  expect(found.text).toContain(digest.slice(2));
  expect((await espalier(folder, "doctor", "--repair")).text).toContain("moved aside");
  const repaired = await espalier(folder, "run", "-p", "n=2");
  expect(repaired.code, repaired.text).toBe(0);
  expect((await espalier(folder, "doctor", "--deep")).code).toBe(0);
});

test("a record of a newer version, or a damaged one, is not touched", async () => {
  const folder = makeProject({});
  const path = join(folder, ".espalier", "record.db");
  expect((await espalier(folder, "runs", "list")).code).toBe(0);
  const database = new DatabaseSync(path);
  database.exec("INSERT INTO schema_versions VALUES (999, 'later', 0)");
  database.close();
  const newer = await espalier(folder, "runs", "list");
  expect(newer.code, newer.text).toBe(3);
  expect(newer.text).toContain("SCHEMA_TOO_NEW");
  writeFileSync(path, "no database");
  const damaged = await espalier(folder, "runs", "list");
  expect(damaged.code, damaged.text).toBe(8);
  expect(readFileSync(path, "utf8")).toBe("no database");
});

test("a port that another program uses is named", async () => {
  const folder = makeProject({});
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const said = await espalier(folder, "up", "--port", String(port));
  server.close();
  expect(said.code, said.text).toBe(3);
  expect(said.text).toContain(`127.0.0.1:${port}`);
});
