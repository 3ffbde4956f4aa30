import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Artifacts, createArtifacts, digestOfBytes, environmentDigest, type WorkOrder } from "@espalier/core";
import { createFilesystemArtifactStore, createLocalFiles } from "@espalier/embedded";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readEventFile } from "./events.ts";
import { parseRule } from "./ignore.ts";
import { maskFile, readMasked, secretBytes } from "./mask.ts";
import { prepareRun } from "./prepare-run.ts";
import { createRemoteAttempts } from "./remote-attempts.ts";
import { createStaging } from "./staging.ts";
import { inheritedVariables } from "./variables.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-staging-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("one requirements file gives each version of Python a lock of its own", async () => {
  const step = (pythonVersion?: string) => ({
    run: "true",
    environment: { python: "./requirements.txt", ...(pythonVersion === undefined ? {} : { pythonVersion }) },
  });
  const pipeline = {
    ir: 1 as const,
    name: "p",
    steps: { a: step(), b: step("3.11"), c: step("3.12"), d: step("3.12") },
  };
  const run = await prepareRun(
    {
      projectFolder: folder,
      stateFolder: folder,
      pipeline,
      params: {},
      stack: "l",
      trigger: { kind: "manual", by: "t" },
    },
    {
      artifacts: createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles()),
      files: createLocalFiles(),
      builtins: {},
      environments: {
        lock: async (_, path, version = "usual") => ({ path, text: `pins for ${version}`, fresh: false }),
        bin: async () => "",
      },
      resolve: async () => null,
    },
  );
  const digests = Object.values(run.pipeline.steps).map((one) => environmentDigest(one, run.snapshots));
  expect(digests).toEqual(["usual", "3.11", "3.12", "3.12"].map((version) => digestOfBytes(`pins for ${version}`)));
});

test("a secret is masked wherever chunks are cut, and offsets stay true", async () => {
  const secret = "correct horse battery staple";
  const chunk = createReadStream(folder).readableHighWaterMark;
  const text = `${"x".repeat(chunk - 10)}${secret}\n${"y".repeat(chunk - 5)}${secret}`;
  const path = join(folder, "log");
  writeFileSync(path, text);
  await maskFile(path, join(folder, "masked"), secretBytes([secret]));
  const masked = readFileSync(join(folder, "masked"), "utf8");
  expect(masked).toHaveLength(text.length);
  expect(masked).not.toContain("horse");
  expect(masked.replaceAll("*", "")).toBe(text.replaceAll(secret, ""));

  let read = "";
  for (let offset = 0; ; ) {
    const { bytes, next } = await readMasked(path, offset, 1000, secretBytes([secret]), true);
    if (next === offset) break;
    read += Buffer.from(bytes).toString();
    offset = next;
  }
  expect(read).toBe(masked);
});

test("the beginning of a secret waits until it is known to be one", async () => {
  const path = join(folder, "log");
  writeFileSync(path, "word: correct ho");
  const secrets = secretBytes(["correct horse"]);
  const first = await readMasked(path, 0, 1000, secrets, false);
  expect(Buffer.from(first.bytes).toString()).toBe("word: ");
  writeFileSync(path, "rse!\n", { flag: "a" });
  const second = await readMasked(path, first.next, 1000, secrets, false);
  expect(Buffer.from(second.bytes).toString()).toBe("*************!\n");
});

test("events are whole lines; anything else becomes a note", async () => {
  const path = join(folder, "events.jsonl");
  writeFileSync(path, '{"type":"metric","key":"auc","value":0.7,"timestamp":1}\nnot json\n{"type":"metric","key":');
  const first = await readEventFile(path, 0);
  expect(first.events[0]).toEqual({ type: "metric", key: "auc", value: 0.7, timestamp: 1 });
  expect(first.events[1]).toMatchObject({ type: "note", text: "not json" });
  writeFileSync(path, '"loss","value":"NaN"}', { flag: "a" });
  const second = await readEventFile(path, first.next);
  expect(second.events).toMatchObject([{ type: "metric", key: "loss", value: "NaN" }]);
  expect((await readEventFile(path, second.next)).events).toEqual([]);
});

test.each([
  ["*.log", "a/b.log", true],
  ["*.log", "a.logs", false],
  ["/data", "data/x.csv", true],
  ["/data", "src/data/x.csv", false],
  ["build/", "src/build/x", true],
  ["a/**/b", "a/x/y/b", true],
  ["a/**/b", "a/b", true],
  ["**/cache", "x/cache/y", true],
  ["out?", "out1", true],
  ["a+b", "aab", false],
])("the ignore rule %s on %s: %s", (rule, path, matches) => {
  expect(parseRule(rule).pattern.test(path)).toBe(matches);
});

test("folders of attempts that ended long ago go, those of running ones stay", async () => {
  const attempt = (name: string, files: string[], days: number): void => {
    const path = join(folder, "attempts", name);
    mkdirSync(path, { recursive: true });
    const time = Date.now() / 1000 - days * 24 * 3600;
    for (const file of files) {
      writeFileSync(join(path, file), "");
      utimesSync(join(path, file), time, time);
    }
    utimesSync(path, time, time);
  };
  attempt("fresh", ["log", "exit.json"], 1);
  attempt("old", ["log", "exit.json"], 8);
  attempt("running", ["log", "identity"], 8);
  attempt("forgotten", ["log", "identity"], 61);
  const none = { get: async () => undefined };
  const staging = createStaging({
    stateFolder: folder,
    artifacts: {} as Artifacts,
    secrets: none,
    pythonBin: async () => "",
  });
  await staging.cleanUp();
  expect(readdirSync(join(folder, "attempts")).sort()).toEqual(["fresh", "running"]);
});

test("a step does not inherit credentials of the control plane", () => {
  expect(inheritedVariables({ PATH: "/bin", AWS_SECRET_ACCESS_KEY: "x", LC_ALL: "C" })).toEqual({
    PATH: "/bin",
    LC_ALL: "C",
  });
});

test("a proxy that leads out of the machine is not asked for the machine itself", () => {
  const proxy = { HTTP_PROXY: "http://proxy:3128" };
  const local = "127.0.0.1,localhost,::1";
  expect(inheritedVariables(proxy)).toEqual({ ...proxy, NO_PROXY: local, no_proxy: local });
  const both = `corp.example,${local}`;
  expect(inheritedVariables({ ...proxy, NO_PROXY: "corp.example" })).toMatchObject({ NO_PROXY: both, no_proxy: both });
  expect(inheritedVariables({ ...proxy, no_proxy: "*" })).toEqual({ ...proxy, no_proxy: "*" });
});

test("an attempt that is prepared again keeps its token; only steps that run code of the user's have one", async () => {
  const artifacts = createArtifacts(createFilesystemArtifactStore({ path: join(folder, "store") }), createLocalFiles());
  let minted = 0;
  const staging = createStaging({
    stateFolder: folder,
    artifacts,
    secrets: { get: async () => undefined },
    pythonBin: async () => "",
    environment: {},
    mintToken: async () => `esp_token-${++minted}`,
    variables: async (_order, { token, elsewhere }) => ({ TOKEN: token, ELSEWHERE: String(elsewhere) }),
  });
  const order = (attemptId: string, program: WorkOrder["program"]): WorkOrder => ({
    ...{ attemptId, program, runId: "r", pipeline: "p", step: "s", branch: -1, inputs: {}, outputs: {}, params: {} },
    ...{ with: {}, secrets: [], logicalDate: "2001-01-01T00:00:00Z", resources: {}, graceSeconds: 1 },
  });
  const tokenOf = async (attemptId: string, program: WorkOrder["program"]) => {
    const work = await staging.prepare(order(attemptId, program), true);
    return work.kind === "local" ? work.variables["TOKEN"] : "not local";
  };
  expect(await tokenOf("a", { run: "true" })).toBe("esp_token-1");
  // As if it had been started: its folder is not laid out again.
  writeFileSync(join(folder, "attempts/a/identity"), "1");
  expect(await tokenOf("a", { run: "true" })).toBe("esp_token-1");
  expect(statSync(join(folder, "attempts/a/token")).mode & 0o777).toBe(0o600);
  expect(await tokenOf("b", { builtin: "sql" })).toBeUndefined();
  expect(minted).toBe(1);

  writeFileSync(join(folder, "attempts/a/log"), "my token is esp_token-1\n");
  const closed = await staging.closeLog(order("a", { run: "true" }), 10);
  expect(closed.tail).toBe("my token is ***********");
  const member = join(folder, "attempts/a/ranks/1");
  mkdirSync(member, { recursive: true });
  writeFileSync(join(member, "log"), "a member's token is esp_token-1\n");
  await staging.discard(order("a", { run: "true" }), false);
  expect(readFileSync(join(folder, "attempts/a/log"), "utf8")).toBe("my token is ***********\n");
  expect(readFileSync(join(member, "log"), "utf8")).toBe("a member's token is ***********\n");
  expect(existsSync(join(folder, "attempts/a/token"))).toBe(false);
});

test("the launcher's last word is told as a runner would tell it", async () => {
  const stateFolder = folder;
  const secrets = {} as never;
  const staging = createStaging({ stateFolder, artifacts: {} as Artifacts, secrets, pythonBin: async () => "" });
  const remote = createRemoteAttempts({ stateFolder, artifacts: {} as Artifacts, secrets });
  mkdirSync(join(folder, "attempts", "a"), { recursive: true });
  expect(await staging.lastWord?.("a")).toBeUndefined();
  await remote.exit("a", { exitCode: 3 });
  expect(await staging.lastWord?.("a")).toEqual({ state: "exited", exitCode: 3 });
  await remote.exit("a", { exitCode: 143, cancelled: true });
  expect(await staging.lastWord?.("a")).toEqual({ state: "cancelled" });
  await remote.exit("a", { exitCode: 70, error: "no space" });
  expect(await staging.lastWord?.("a")).toMatchObject({ state: "lost", message: expect.stringContaining("no space") });
});
