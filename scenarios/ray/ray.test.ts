import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../scripts/servers/free-port.ts";
import { writeProject } from "../faults/plane.ts";

const address = process.env.ESPALIER_TEST_RAY_ADDRESS;
const reason = address === undefined ? "needs a cluster; `npm run test:servers -- ray` starts one" : undefined;
let folder = "";
let plane: StartedControlPlane | undefined;
let port = 0;

const files = (): Record<string, string> => ({
  "espalier.yaml": `project: far
default_stack: laptop
control_plane: { url: "http://127.0.0.1:${port}", port: ${port} }
stacks:
  laptop: {}
  cluster:
    compute:
      far: { uses: ray, with: { address: "${address}", token_variable: ESPALIER_TEST_RAY_TOKEN } }
  elsewhere: { extends: cluster, artifacts: { with: { path: "${join(folder, "another-store")}" } } }
`,
  "package.json": "{}",
  "pipelines/far.yaml": `name: far
params: { poison: "no" }
steps:
  parts:
    run: echo '[1,2,3,4,5,6,7,8]' >\${{ outputs.numbers }}
    outputs: { numbers: value }
  square:
    run: sh square.sh \${{ params.number }} >\${{ outputs.square }}
    source: ./src
    compute: far
    map: { over: parts.numbers, as: number }
    outputs: { square: { type: value, portable: true } }
  sum:
    run: sh sum.sh \${{ inputs.squares }} \${{ params.poison }} >\${{ outputs.total }}
    source: ./src
    compute: far
    inputs: { squares: square.square }
    outputs: { total: file }
`,
  "src/square.sh": `echo '{"type":"metric","key":"number","value":'"$1"'}' >>"$ESPALIER_EVENTS"; echo $(($1 * $1))\n`,
  "src/sum.sh": `[ "$2" = no ] || [ -e "$2" ] || exit 9
tr -d '[]' <"$1" | tr ',' '\\n' | awk '{ sum += $1 } END { print sum }'\n`,
});

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "espalier-ray-project-"));
  port = await freePort();
  writeProject(folder, files());
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
});
afterAll(async () => {
  await plane?.close();
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

function clientOf() {
  if (!plane) throw new Error("not started");
  return createClient({ url: plane.url, token: plane.token });
}

async function ended(id: string) {
  for await (const _event of clientOf().events("runs.events", { params: { runId: id } }));
  return clientOf().call("runs.get", { params: { runId: id } });
}

describe.skipIf(reason !== undefined)(`a pipeline on Ray${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test("maps over the cluster and comes to the same as on the laptop, from one cache", async () => {
    const start = (stack: string) => clientOf().call("runs.create", { body: { pipeline: "far", stack } });
    const far = await ended((await start("cluster")).id);
    expect(far.run.error).toBeUndefined();
    expect(far.steps.filter(({ step, state }) => step === "square" && state === "succeeded")).toHaveLength(9);
    const { items } = await clientOf().call("artifacts.ofRun", { params: { runId: far.run.id } });
    const total = items.find(({ output }) => output === "total")?.artifact;
    const bytes = await clientOf().bytes("artifacts.download", {
      params: { digest: total?.digest ?? "" },
      query: { type: "file" },
    });
    expect(await new Response(bytes).text()).toBe("204\n");
    const near = await ended((await start("laptop")).id);
    expect(near.steps.filter(({ state }) => state !== "cached").map(({ step }) => step)).toEqual([]);
  });

  test("a run that failed on the laptop goes on on the cluster, in another store, from the same inputs by digest", async () => {
    const missing = join(folder, "arrives-later");
    const { id } = await clientOf().call("runs.create", {
      body: { pipeline: "far", stack: "laptop", params: { poison: missing } },
    });
    const failed = await ended(id);
    expect(failed.steps.find(({ step }) => step === "sum")?.error?.details).toMatchObject({ exitCode: 9 });
    writeFileSync(missing, "");
    await plane?.close();
    plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port, stack: "elsewhere" });
    const resumed = await clientOf().call("runs.resume", { params: { runId: id }, body: { stack: "elsewhere" } });
    const after = await ended(resumed.id);
    expect(after.run.error).toBeUndefined();
    const states = after.steps.filter(({ branch }) => branch === -1).map(({ step, state }) => [step, state]);
    expect(states).toEqual([
      ["parts", "cached"],
      ["square", "cached"],
      ["sum", "succeeded"],
    ]);
    expect(after.attempts.map(({ step, tool }) => [step, tool])).toEqual([["sum", "open-source/ray"]]);
    const { items } = await clientOf().call("artifacts.ofRun", { params: { runId: resumed.id } });
    for (const { artifact } of items) {
      const query = { type: artifact.type } as const;
      const bytes = await clientOf().bytes("artifacts.download", { params: { digest: artifact.digest }, query });
      expect((await new Response(bytes).arrayBuffer()).byteLength).toBeGreaterThan(0);
    }
  });
});
