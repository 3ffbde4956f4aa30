import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createClient, type Move } from "@espalier/contract";
import { startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDocument } from "yaml";

const endpoint = process.env["ESPALIER_TEST_S3_ENDPOINT"];
const bucket = process.env["ESPALIER_TEST_S3_BUCKET"] ?? "";
const root = resolve(import.meta.dirname, "../..");
const name = "the flights project moves from the laptop to a bucket and back, and every step is cached there";

if (endpoint === undefined) {
  test.skip(`${name} (skipped: needs a server; \`npm run test:servers -- s3\` starts one)`);
} else {
  let folder: string;
  beforeAll(async () => {
    folder = join(await mkdtemp(join(tmpdir(), "espalier-moves-")), "flights-delay");
    await cp(join(root, "examples/flights-delay"), folder, { recursive: true });
    await mkdir(join(folder, "data"), { recursive: true });
    await copyFile(
      join(root, "node_modules/vega-datasets/data/flights-3m.parquet"),
      join(folder, "data/flights-3m.parquet"),
    );
    const path = join(folder, "espalier.yaml");
    const document = parseDocument(await readFile(path, "utf8"));
    const store = { uses: "s3", with: { endpoint, bucket, region: "us-east-1", prefix: `moves-${Date.now()}/` } };
    document.setIn(["stacks", "servers"], document.createNode({ artifacts: store }));
    await writeFile(path, document.toString());
  });
  afterAll(() => rm(resolve(folder, ".."), { recursive: true, force: true }));

  /** Runs on one stack, then carries everything to the other; what each step came to, and the move. */
  async function runAndMove(from: string, to: string): Promise<{ states: Record<string, string>; move: Move }> {
    const plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", stack: from });
    try {
      const client = createClient({ url: plane.url, token: plane.token });
      const { id } = await client.call("runs.create", { body: { pipeline: "train", stack: from } });
      for await (const _ of client.events("runs.events", { params: { runId: id } }));
      const { run, steps } = await client.call("runs.get", { params: { runId: id } });
      expect(run).toMatchObject({ state: "succeeded" });
      const started = await client.call("moves.start", { body: { from, to, verify: "all" } });
      for await (const _ of client.events("moves.events", { params: { moveId: started.id } }));
      const move = await client.call("moves.get", { params: { moveId: started.id } });
      return { states: Object.fromEntries(steps.map(({ step, state }) => [step, state])), move };
    } finally {
      await plane.close();
    }
  }

  test(name, async () => {
    const there = await runAndMove("laptop", "servers");
    expect(Object.values(there.states)).toContain("succeeded");
    expect(there.move).toMatchObject({ state: "done", failed: 0, damaged: [], held: 0 });
    await rm(join(folder, ".espalier/store"), { recursive: true });

    const back = await runAndMove("servers", "laptop");
    expect(back.move).toMatchObject({ state: "done", failed: 0, damaged: [] });
    // `register` and `deploy` are of the record and reconcile; everything that makes content is taken from the cache.
    const made = Object.entries(back.states).filter(([, state]) => state === "succeeded");
    expect(made.map(([step]) => step)).toEqual([]);
    await runAndMove("laptop", "servers").then(({ states, move }) => {
      expect(Object.values(states).filter((state) => state === "succeeded")).toEqual([]);
      expect(move).toMatchObject({ state: "done", failed: 0, damaged: [] });
    });
  }, 900_000);
}
