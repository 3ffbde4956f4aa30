import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type LauncherManifest,
  launcherExitSchema,
  launcherManifestSchema,
  launcherOutputsSchema,
  launcherRunsSchema,
} from "@espalier/contract";
import { afterEach, beforeEach, expect, test } from "vitest";

const launcher = fileURLToPath(new URL("../../python/launcher.py", import.meta.url));
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A control plane and a store at another address, each of which says what the test wants. */
interface Site {
  manifest: LauncherManifest;
  /** Asked for each request to the store; a status other than 200 is the answer. */
  store: (path: string, method: string) => number;
  /** The same for the control plane. */
  plane: (path: string) => number;
  blobs: Map<string, string>;
  uploads: Map<string, string>;
  calls: string[];
  log: string;
  exit: unknown;
  /** Told with every reply to the log. */
  cancel: boolean;
  outputs: unknown;
  /** Names that launchers gave when they asked for the manifest. */
  launchers: string[];
  /** For how long the launcher that came first was not heard, as a second one is told. */
  silentSeconds: number;
  /** Paths of the MLflow file store, each time they are told. */
  runs: string[][];
  tokensSeenByStore: (string | undefined)[];
  storeUrl: string;
  planeUrl: string;
}

let site: Site;
let folder: string;
let servers: Server[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "espalier-launcher-"));
  servers = [createServer((...call) => void plane(...call)), createServer((...call) => void store(...call))];
  const [planeUrl, storeUrl] = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }),
  );
  site = {
    manifest: {
      protocol: 1,
      attemptId: "a1",
      runId: "r1",
      step: "s",
      command: "cat $ESPALIER_INPUTS/word >$ESPALIER_OUTPUTS/out; echo done",
      variables: {},
      params: {},
      inputs: {
        word: { type: "file", files: [{ path: "", size: 5, sha256: sha256("hello"), url: `${storeUrl}/word?1` }] },
      },
      outputs: { out: { type: "file" } },
      graceSeconds: 1,
    },
    store: () => 200,
    plane: () => 200,
    cancel: false,
    blobs: new Map([["/word", "hello"]]),
    uploads: new Map(),
    calls: [],
    log: "",
    exit: undefined,
    outputs: undefined,
    runs: [],
    launchers: [],
    silentSeconds: 0,
    tokensSeenByStore: [],
    storeUrl: storeUrl ?? "",
    planeUrl: planeUrl ?? "",
  };
  expect(launcherManifestSchema.parse(site.manifest)).toEqual(site.manifest);
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

async function plane(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const { pathname, searchParams } = new URL(request.url ?? "", site.planeUrl);
  const name = pathname.split("/").at(-1) ?? "";
  site.calls.push(name);
  const status = request.headers.authorization === "Bearer secret-token" ? site.plane(name) : 401;
  if (status !== 200) return void response.writeHead(status).end('{"error":{"code":"CONFLICT","message":"no"}}');
  const reply = (value: unknown): void => void response.writeHead(200).end(JSON.stringify(value));
  if (name === "manifest") {
    const launcher = String(request.headers["x-espalier-launcher"]);
    site.launchers.push(launcher);
    if (site.launchers.find((one) => one !== "undefined") !== launcher && launcher !== "undefined") {
      const details = { claimed: true };
      return void response.writeHead(409).end(JSON.stringify({ error: { code: "CONFLICT", message: "x", details } }));
    }
    return reply(site.manifest);
  }
  if (name === "exit" && request.method === "GET") {
    return reply({ ...(site.exit as object | undefined), silentSeconds: site.silentSeconds });
  }
  if (name === "log") {
    if (Number(searchParams.get("offset")) > site.log.length) {
      const details = { next: site.log.length };
      return void response.writeHead(409).end(JSON.stringify({ error: { code: "CONFLICT", message: "gap", details } }));
    }
    site.log += body.slice(Math.max(0, site.log.length - Number(searchParams.get("offset"))));
    return reply({ next: site.log.length, cancel: site.cancel });
  }
  if (name === "events") return reply({ next: Number(searchParams.get("offset")) + body.length, cancel: false });
  if (name === "mlruns") {
    const { files } = launcherRunsSchema.parse(JSON.parse(body));
    site.runs.push(files.map(({ path }) => path));
    const missing = files.filter((file) => !site.uploads.has(file.sha256));
    const to = (sha256: string) => ({ sha256, url: `${site.storeUrl}/up/${sha256}`, headers: { "x-signed": "yes" } });
    return reply({ missing: missing.map((file) => to(file.sha256)) });
  }
  if (name === "exit") site.exit = launcherExitSchema.parse(JSON.parse(body));
  if (name === "outputs") {
    const { outputs } = launcherOutputsSchema.parse(JSON.parse(body));
    site.outputs = outputs;
    const files = Object.values(outputs).flatMap((output) => output.files);
    const missing = files.filter((file) => !site.uploads.has(file.sha256));
    return reply({
      missing: missing.map((file) => ({
        sha256: file.sha256,
        url: `${site.storeUrl}/up/${file.sha256}`,
        headers: { "x-signed": "yes" },
      })),
    });
  }
  reply({});
}

async function store(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const path = request.url ?? "";
  site.tokensSeenByStore.push(request.headers.authorization);
  const status = site.store(path, request.method ?? "");
  if (status !== 200) return void response.writeHead(status).end();
  if (request.method === "PUT") {
    if (request.headers["x-signed"] !== "yes") return void response.writeHead(400).end();
    site.uploads.set(path.split("/").at(-1) ?? "", body);
  }
  response.writeHead(200).end(site.blobs.get(path.split("?")[0] ?? "") ?? "");
}

async function launch(variables: Record<string, string> = {}): Promise<{ code: number | null; stderr: string }> {
  const child = spawn("python3", [launcher, `${site.planeUrl}/api/v1/attempts/a1/manifest`], {
    env: { PATH: process.env.PATH ?? "", ESPALIER_TOKEN: "secret-token", ESPALIER_WORK: folder, ...variables },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stderr };
}

test("inputs from the store, outputs into it; the store never sees the token, and nothing stays behind", async () => {
  expect(await launch()).toEqual({ code: 0, stderr: "" });
  expect(site.uploads).toEqual(new Map([[sha256("hello"), "hello"]]));
  expect(site.outputs).toEqual({ out: { files: [{ path: "", size: 5, sha256: sha256("hello"), executable: false }] } });
  expect(site).toMatchObject({ exit: { exitCode: 0, cancelled: false }, log: "done\n" });
  expect(site.tokensSeenByStore).toEqual([undefined, undefined]);
  expect(readdirSync(folder)).toEqual([]);
});

test("of two launchers of one attempt the first runs it, and the second ends as the first does", async () => {
  site.manifest.command = "echo begun; sleep 1; exit 5";
  const ends = await Promise.all([launch(), launch()]);
  expect(ends.map(({ code }) => code)).toEqual([5, 5]);
  expect(site.log).toBe("begun\n");
  expect(ends.filter(({ stderr }) => stderr.includes("another launcher has begun"))).toHaveLength(1);
  expect(new Set(site.launchers).size).toBe(2);
});

test("a first launcher that is heard no more is told of by the second, which runs nothing", async () => {
  site.launchers.push("the-first");
  site.silentSeconds = 901;
  const { code, stderr } = await launch();
  expect(code).toBe(70);
  expect(stderr).toContain("was not heard for 900 s");
  expect(site).toMatchObject({ exit: { exitCode: 70 }, log: "" });
});

test("the members of a gang but the first claim nothing", async () => {
  site.launchers.push("the-first");
  expect((await launch({ ESPALIER_NODE_RANK: "1" })).code).toBe(0);
  expect(site.launchers).toEqual(["the-first", "undefined"]);
});

test("URLs that expired are renewed, going down and going up", async () => {
  let puts = 0;
  site.store = (path, method) => {
    if (method === "PUT") return ++puts === 1 ? 410 : 200;
    if (path === "/word?1") {
      const file = site.manifest.inputs.word?.files[0];
      if (file) file.url = `${site.storeUrl}/word?2`;
      return 403;
    }
    return 200;
  };
  expect(await launch()).toEqual({ code: 0, stderr: "" });
  expect(site.calls.filter((name) => name === "manifest")).toHaveLength(2);
  expect(site.calls.filter((name) => name === "outputs")).toHaveLength(2);
  expect(site.uploads.size).toBe(1);
});

test("what the store has already is not uploaded", async () => {
  site.uploads.set(sha256("hello"), "hello");
  expect((await launch()).code).toBe(0);
  expect(site.tokensSeenByStore).toHaveLength(1);
});

test("a server that is away for a moment is asked again", async () => {
  let asked = 0;
  site.plane = (name) => (name === "manifest" && ++asked === 1 ? 503 : 200);
  let stored = 0;
  site.store = () => (++stored === 1 ? 500 : 200);
  expect((await launch()).code).toBe(0);
});

test("bytes that are not those of the digest never reach the step", async () => {
  site.blobs.set("/word", "jello");
  const { code, stderr } = await launch();
  expect(code).toBe(70);
  expect(stderr).toContain("are not those of sha256:");
  expect(site.exit).toMatchObject({ exitCode: 70, error: expect.stringContaining("are not those") });
  expect(site.log).toBe("");
});

test("a path that leads elsewhere is refused", async () => {
  const files = [{ path: "../../escape", size: 5, sha256: sha256("hello"), url: `${site.storeUrl}/word` }];
  site.manifest.inputs = { word: { type: "tree", files } };
  expect((await launch()).stderr).toContain("../../escape");
});

test.each([401, 409])("an attempt that is over elsewhere stops its step: %d", async (status) => {
  site.manifest.command = "echo begun; sleep 600";
  site.plane = (name) => (name === "log" ? status : 200);
  const { code, stderr } = await launch();
  expect(code).toBe(70);
  expect(stderr).toContain("the attempt is over");
});

test("a control plane that took over and has no log yet gets all of it", async () => {
  site.manifest.command = `wait_for() { until test -e ${folder}/$1; do sleep 0.1; done; }; echo begun; wait_for heard; echo more; wait_for taken; echo done >$ESPALIER_OUTPUTS/out; echo ended`;
  site.manifest.inputs = {};
  let tookOver = false;
  site.plane = (name) => {
    if (name !== "log") return 200;
    if (site.log !== "" && !tookOver) {
      tookOver = true;
      site.log = "";
      writeFileSync(join(folder, "taken"), "");
    }
    writeFileSync(join(folder, "heard"), "");
    return 200;
  };
  expect((await launch()).code).toBe(0);
  expect(tookOver).toBe(true);
  expect(site.log).toBe("begun\nmore\nended\n");
});

test("a step that fails uploads nothing and keeps its exit code", async () => {
  site.manifest.command = "echo no >&2; exit 9";
  expect((await launch()).code).toBe(9);
  expect(site.exit).toMatchObject({ exitCode: 9 });
  expect(site.log).toBe("no\n");
  expect(site.outputs).toBeUndefined();
});

test.each([0, 9])(
  "what is logged by MLflow to files is brought before the end, also of a step that ends with %d",
  async (code) => {
    site.manifest.mlflow = "files";
    site.manifest.command = `d="\${MLFLOW_TRACKING_URI#file://}/0/run" && mkdir -p "$d/metrics" && echo logged >"$d/metrics/auc" && cat $ESPALIER_INPUTS/word >$ESPALIER_OUTPUTS/out; exit ${code}`;
    expect((await launch()).code).toBe(code);
    // Told again once nothing is missing: that is when they are imported.
    expect(site.runs).toEqual([["0/run/metrics/auc"], ["0/run/metrics/auc"]]);
    expect(site.uploads.get(sha256("logged\n"))).toBe("logged\n");
    expect(site.calls.indexOf("exit")).toBeGreaterThan(site.calls.lastIndexOf("mlruns"));
    expect(site.exit).toMatchObject({ exitCode: code });
  },
);

test.each([
  [0, 70],
  [9, 9],
])("what can not be imported fails a step that succeeded, and is told by one that did not: %d", async (code, ended) => {
  site.manifest.mlflow = "files";
  site.manifest.command = `echo x >"\${MLFLOW_TRACKING_URI#file://}/x"; exit ${code}`;
  site.plane = (name) => (name === "mlruns" ? 400 : 200);
  expect((await launch()).code).toBe(ended);
  if (code === 0) expect(site.exit).toMatchObject({ exitCode: 70, error: expect.stringContaining("mlruns") });
  else expect(site.log).toContain("could not be brought");
});

test("of a gang only the first member has the last word; another that can not do its work says why on stderr", async () => {
  site.store = () => 404;
  const { code, stderr } = await launch({ ESPALIER_NODE_RANK: "1" });
  expect(code).toBe(70);
  expect(stderr).toContain("answered 404");
  expect(site.exit).toBeUndefined();
});

test("a member of a gang that is not the first hears that the attempt is cancelled", async () => {
  site.manifest.command = "exec sleep 600";
  site.cancel = true;
  expect(await launch({ ESPALIER_NODE_RANK: "1" })).toMatchObject({ code: 143 });
  expect(site.exit).toBeUndefined();
  expect(site.log).toBe("");
}, 60_000);
