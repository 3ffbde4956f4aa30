import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../../scripts/servers/free-port.ts";
import { writeProject } from "../faults/plane.ts";

const endpoint = process.env.ESPALIER_TEST_SLURM_ENDPOINT;
const reason = endpoint === undefined ? "needs a server; `npm run test:servers -- slurm` starts one" : undefined;
let folder = "";
let plane: StartedControlPlane | undefined;
let port = 0;

const files = (): Record<string, string> => ({
  "espalier.yaml": `project: batch
default_stack: cluster
control_plane: { url: "http://127.0.0.1:${port}", port: ${port} }
stacks:
  cluster:
    compute:
      far: { uses: slurm, with: { endpoint: "${endpoint}", user: nobody, token_variable: ESPALIER_TEST_SLURM_TOKEN, shared_folder: ${process.env.ESPALIER_TEST_SLURM_SHARED} } }
      near: { uses: slurm, with: { endpoint: "${endpoint}", user: root, token_variable: ESPALIER_TEST_SLURM_ROOT_TOKEN, shares_project: true } }
`,
  "package.json": "{}",
  "pipelines/batch.yaml": `name: batch
params: { wait: "no", fail: 0 }
steps:
  near:
    run: mkdir -p \${{ outputs.folder }}/deep && seq 3 >\${{ outputs.folder }}/deep/three && echo "near as $(id -un)"
    compute: near
    outputs: { folder: tree }
  far:
    run: sh work.sh \${{ inputs.folder }} \${{ outputs.made }} \${{ params.wait }} \${{ params.fail }}
    source: ./src
    compute: far
    resources: { cpu: 1, memory: 200Mi }
    timeout: 10m
    inputs: { folder: near.folder }
    outputs: { made: tree }
  back:
    run: cat \${{ inputs.made }}/sum >\${{ outputs.out }}
    compute: near
    inputs: { made: far.made }
    outputs: { out: file }
`,
  "src/work.sh": `echo "far as $(id -un)"
echo '{"type":"metric","key":"auc","value":0.5}' >>"$ESPALIER_EVENTS"
while [ "$3" != no ] && [ ! -e "$3" ]; do sleep 0.1; done
[ "$4" = 1 ] && { echo "will fail"; exit 9; }
mkdir -p "$2" && paste -sd+ "$1/deep/three" >"$2/sum"
`,
});

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "espalier-slurm-project-"));
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

async function start(params: Record<string, string>): Promise<string> {
  const { id } = await clientOf().call("runs.create", { body: { pipeline: "batch", params } });
  return id;
}

async function ended(id: string) {
  for await (const _event of clientOf().events("runs.events", { params: { runId: id } }));
  return clientOf().call("runs.get", { params: { runId: id } });
}

describe.skipIf(reason !== undefined)(
  `a pipeline on Slurm${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    test("runs on shared files and through the launcher, and outlives its control plane", async () => {
      const gate = join(process.env.ESPALIER_TEST_SLURM_SHARED ?? "", "go-on");
      const id = await start({ wait: gate });
      for await (const chunk of clientOf().events("logs.follow", { params: { runId: id, step: "far" } })) {
        if (chunk.data.text.includes("far as")) break;
      }
      await plane?.close();
      // It ends while nobody listens: the launcher repeats its last words until the next control plane hears them.
      writeFileSync(gate, "");
      plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "", port });
      const { run, steps } = await ended(id);
      expect(run.error).toBeUndefined();
      expect(steps.map(({ step, state }) => [step, state])).toEqual([
        ["near", "succeeded"],
        ["far", "succeeded"],
        ["back", "succeeded"],
      ]);
      const client = clientOf();
      const log = async (step: string) => (await client.call("logs.get", { params: { runId: id, step } })).text;
      expect([await log("near"), await log("far")]).toEqual(["near as root\n", "far as nobody\n"]);
      const metrics = await client.call("runs.metrics", { params: { runId: id } });
      expect(metrics.items).toMatchObject([{ stepName: "far", key: "auc", value: 0.5 }]);
      const artifacts = await client.call("artifacts.ofRun", { params: { runId: id } });
      const digest = artifacts.items.find((item) => item.output === "out")?.artifact.digest ?? "";
      const bytes = await client.bytes("artifacts.download", { params: { digest }, query: { type: "file" } });
      expect(await new Response(bytes).text()).toBe("1+2+3\n");
    });

    test("a failure arrives with exit code and log; a cancelled run stops its job", async () => {
      const failed = (await ended(await start({ fail: "1" }))).steps.find(({ step }) => step === "far");
      expect(failed?.error?.details).toMatchObject({ exitCode: 9, logTail: "far as nobody\nwill fail" });
      const id = await start({ wait: "/never" });
      for await (const chunk of clientOf().events("logs.follow", { params: { runId: id, step: "far" } })) {
        if (chunk.data.text.includes("far as")) break;
      }
      await clientOf().call("runs.cancel", { params: { runId: id } });
      const { run, steps } = await ended(id);
      expect([run.state, steps.find(({ step }) => step === "far")?.state]).toEqual(["cancelled", "cancelled"]);
    });
  },
);
