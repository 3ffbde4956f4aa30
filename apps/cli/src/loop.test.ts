import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

/** The commands as a user types them, over one small project: first each for itself, then as clients of `espalier up`. */
const main = resolve(import.meta.dirname, "main.ts");
let folder: string;
const started: ChildProcess[] = [];

const train = `
name: train
params: { factor: 3 }
steps:
  ingest: { uses: dataset, inputs: { file: ./rows.csv }, with: { name: rows } }
  sum:
    run: |
      awk -F, -v f=\${{ params.factor }} 'NR > 1 { s += $2 * f } END { print s }' \${{ inputs.rows }} > \${{ outputs.sum }}
      echo "{\\"type\\":\\"metric\\",\\"key\\":\\"sum\\",\\"value\\":$(cat \${{ outputs.sum }})}" >> $ESPALIER_EVENTS
      echo summed
    inputs: { rows: ingest.dataset }
    outputs: { sum: file }
  ask: { uses: approve, needs: [sum], with: { question: "Publish the sum?" } }
  publish:
    run: cp \${{ inputs.sum }} \${{ outputs.copy }}
    inputs: { sum: sum.sum }
    needs: [ask]
    outputs: { copy: file }
`;
/** Goes on until it is stopped; the bound is there only so that a failed test leaves nothing behind. */
const endless = `
name: endless
steps:
  tick: { run: "echo begun; exec sleep 120", outputs: { never: file } }
`;
const files = {
  "espalier.yaml": "project: tiny\n",
  "rows.csv": "id,v\n1,2\n2,3\n",
  "people.csv": "id,v\n1,2\n2,3\n",
  train,
  endless,
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "espalier-loop-"));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name.includes(".") ? name : `pipelines/${name}.yaml`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
});
afterAll(async () => {
  for (const child of started) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  await stopBackground();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A background control plane would end by itself, ten seconds after the last run. */
async function stopBackground(): Promise<void> {
  const owner = join(folder, ".espalier/owner.json");
  if (!existsSync(owner)) return;
  process.kill(JSON.parse(readFileSync(owner, "utf8")).pid, "SIGTERM");
  await vi.waitFor(() => expect(existsSync(owner)).toBe(false), 10_000);
}

function start(...words: string[]): ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream } {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: folder,
    // Colours are for people, also where CI asks for them.
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  return child;
}

async function espalier(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(...words);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code, out, err };
}

/** Waits for a line of a command that goes on, and gives it. */
async function lineOf(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  const lines = createInterface({ input: stream });
  try {
    for await (const line of lines) if (pattern.test(line)) return line;
  } finally {
    lines.close();
    stream.resume();
  }
  throw new Error(`The output ended without ${pattern}`);
}

test("a dataset is logged, compared and checked out; doctor and gc look at the store", async () => {
  expect((await espalier("dataset", "log", "people", "./people.csv")).out).toContain("people@1 logged");
  writeFileSync(join(folder, "people.csv"), "id,v\n1,2\n2,4\n3,9\n");
  expect((await espalier("dataset", "log", "people", "./people.csv")).out).toContain("people@2 logged");
  const { out } = await espalier("dataset", "diff", "people@1", "people@2", "--key", "id");
  expect(out).toContain("rows 2 -> 3");
  expect(out).toContain("by id: 1 rows added, 0 removed, 1 changed");
  const wrong = await espalier("dataset", "diff", "people@1", "others@2");
  expect(wrong).toMatchObject({ code: 2, out: "" });
  expect((await espalier("dataset", "checkout", "people@1", "./before.csv")).code).toBe(0);
  expect(readFileSync(join(folder, "before.csv"), "utf8")).toBe(files["people.csv"]);
  expect((await espalier("--project", folder, "gc", "--sweep")).out).toContain("deleted:        0 blobs");
  const doctor = JSON.parse((await espalier("doctor", "--deep", "--json")).out);
  expect(doctor.healthy).toBe(true);
  expect(doctor.checks).toContainEqual(expect.objectContaining({ name: "artifacts", status: "ok" }));
});

test("with a control plane up, the commands are its clients: approve, compare, why, roles", async () => {
  const up = start("up", "--port", "0", "--json");
  const { url } = JSON.parse(`{${await lineOf(up.stdout, /"url"/)}"end": 0}`);
  const first = JSON.parse((await espalier("run", "train", "--detach", "--json")).out);
  const follow = start("logs", `${first.id}/sum`, "--follow");
  const [followed, complaint] = await Promise.all([text(follow.stdout), text(follow.stderr)]);
  expect(complaint).toBe("");
  expect(followed).toBe("summed\n");
  await waiting(first.id);
  expect((await espalier("approve")).out).toContain("Publish the sum?");
  expect((await espalier("approve", `${first.id}/ask`)).out).toContain("ask is approved");
  const second = start("run", "train", "-p", "factor=5");
  const secondEnd = once(second, "exit");
  await lineOf(second.stdout, /waiting/);
  expect((await espalier("approve", "latest/ask")).code).toBe(0);
  expect(await secondEnd).toEqual([0, null]);

  const compared = await espalier("runs", "compare", first.id, "latest");
  expect(compared.out).toMatch(/param factor\s+3\s+5/);
  expect(compared.out).toMatch(/metric sum.sum\s+15\s+25/);
  expect((await espalier("why", "latest/sum")).out).toContain("params.factor: 3 -> 5");
  expect((await espalier("runs", "list")).out).toContain("succeeded");

  const viewer = (await espalier("token", "create", "dashboard", "--role", "viewer")).out.trim();
  const asViewer = { authorization: `Bearer ${viewer}`, "content-type": "application/json" };
  expect((await fetch(`${url}/api/v1/runs`, { headers: asViewer })).status).toBe(200);
  const body = JSON.stringify({ pipeline: "train" });
  const refused = await fetch(`${url}/api/v1/runs`, { method: "POST", headers: asViewer, body });
  expect(refused.status).toBe(403);
  expect((await fetch(`${url}/api/v1/runs`)).status).toBe(401);
  expect((await espalier("token", "create", "x", "--role", "king")).code).toBe(2);

  up.kill("SIGINT");
  expect(await once(up, "exit")).toEqual([0, null]);
});

test("Ctrl-C cancels the run and waits for its end; its log stays", async () => {
  const run = start("run", "endless");
  await lineOf(run.stdout, /running/);
  run.kill("SIGINT");
  const [code] = await once(run, "exit");
  expect(code).not.toBe(0);
  const detail = JSON.parse((await espalier("runs", "show", "latest", "--json")).out);
  expect(detail.run.state).toBe("cancelled");
});

test("a detached run is followed, and cancelled by another command; its log can still be read", async () => {
  const id = (await espalier("run", "endless", "--detach")).out.split("\n")[0] ?? "";
  const follow = start("logs", id, "--follow");
  const followed = once(follow, "exit");
  expect(await lineOf(follow.stdout, /begun/)).toBe("begun");
  expect((await espalier("cancel", id)).out).toContain("is cancelled");
  expect(await followed).toEqual([0, null]);
  expect((await espalier("logs", id)).out).toBe("begun\n");
});

test("a reader that has seen enough ends no command in a crash", async () => {
  const list = start("runs", "list", "--json");
  list.stdout.once("data", () => (list.stdout as unknown as Readable).destroy());
  const [complaint, [code]] = await Promise.all([text(list.stderr), once(list, "exit")]);
  expect({ code, complaint }).toEqual({ code: 0, complaint: "" });
});

test("the runs of a backfill go on when the command has ended", async () => {
  const dated = `name: dated\nschedule: { cron: "0 3 * * 1" }\nsteps:\n  say: { run: "echo \${{ run.date }} > \${{ outputs.day }}", outputs: { day: file } }\n`;
  writeFileSync(join(folder, "pipelines/dated.yaml"), dated);
  const out = JSON.parse((await espalier("schedule", "backfill", "dated", "2026-11-01", "2026-11-16", "--json")).out);
  expect(out.map((run: { due: string }) => run.due)).toEqual(["2026-11-02T03:00:00.000Z", "2026-11-09T03:00:00.000Z"]);
  for (const { runId } of out) await ended(runId);
});

/** The run comes to its end while this only looks. */
async function ended(id: string): Promise<void> {
  for (;;) {
    const { run } = JSON.parse((await espalier("runs", "show", id, "--json")).out);
    if (["failed", "cancelled"].includes(run.state)) throw new Error(`run ${id} is ${run.state}`);
    if (run.state === "succeeded") return;
  }
}

/** The run's approval is asked for: `approve` lists it. */
async function waiting(id: string): Promise<void> {
  for (;;) {
    const { out } = await espalier("approve", "--json");
    if (out.includes(id)) return;
  }
}
