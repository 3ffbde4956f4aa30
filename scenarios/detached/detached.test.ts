import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { whyNotDetached } from "@espalier/conformance";
import { createClient } from "@espalier/contract";
import { type StartedControlPlane, startControlPlane } from "@espalier/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProject } from "../faults/plane.ts";

const reason = whyNotDetached();
const root = mkdtempSync(join(tmpdir(), "espalier-detached-"));
const folder = join(root, "project");
const elsewhere = join(root, "elsewhere");
let plane: StartedControlPlane | undefined;

const files = {
  "espalier.yaml": `project: detached
default_stack: far
stacks:
  far:
    compute: { train: { uses: "npm:@own/detached", with: { folder: ${elsewhere} } } }
`,
  "package.json": "{}",
  "pipelines/far.yaml": `name: far
params: { word: "it's here", fail: 0, slow: 0 }
steps:
  near:
    run: mkdir -p \${{ outputs.folder }}/deep && seq 3 >\${{ outputs.folder }}/deep/three && printf '#!/bin/sh\\necho ran' >\${{ outputs.folder }}/tool && chmod +x \${{ outputs.folder }}/tool
    outputs: { folder: tree }
  away:
    run: sh work.sh \${{ inputs.folder }} \${{ outputs.made }} \${{ outputs.said }} \${{ params.word }} \${{ params.fail }} \${{ params.slow }}
    source: ./src
    compute: train
    params: [fail, slow]
    inputs: { folder: near.folder }
    outputs: { made: tree, said: value }
  back:
    run: cat \${{ inputs.made }}/a/b >\${{ outputs.out }}
    inputs: { made: away.made }
    outputs: { out: file }
`,
  "src/work.sh": `echo "user $(id -u)"
[ "$6" = 1 ] && { echo sleeping; sleep 600; }
[ "$5" = 1 ] && { echo "will fail"; exit 9; }
mkdir -p "$2/a"
"$1/tool" >"$2/a/b"
cat "$1/deep/three" >>"$2/a/b"
printf '"%s"' "$4" >"$3"
echo '{"type":"metric","key":"auc","value":0.5}' >>"$ESPALIER_EVENTS"
`,
  "node_modules/@own/detached/package.json": '{"name":"@own/detached","main":"index.mjs"}',
  "node_modules/@own/detached/index.mjs": `
import { createDetachedRunner } from ${JSON.stringify(import.meta.resolve("@espalier/conformance"))};
import { createProcessRunner } from ${JSON.stringify(import.meta.resolve("@espalier/embedded"))};
import { z } from "zod";
export const tools = [{
  manifest: {
    tool: "detached", provider: "custom", component: "compute", milestone: 5, summary: "another user, HTTP only", capabilities: [],
    skills: [], cost: { money: "none", operations: "none" }, verified: { label: "real", against: "this test", live: "not applicable" },
  },
  config: z.strictObject({ folder: z.string() }),
  create: ({ folder }) => createDetachedRunner({
    inner: createProcessRunner(), folder, launcher: ${JSON.stringify(fileURLToPath(new URL("../../python/launcher.py", import.meta.url)))},
  }),
}];
`,
};

beforeAll(async () => {
  if (reason !== undefined) return;
  writeProject(folder, files);
  mkdirSync(elsewhere);
  // The other user must be able to pass, not to look.
  const { chmodSync } = await import("node:fs");
  chmodSync(root, 0o711);
  chmodSync(folder, 0o700);
  symlinkSync(fileURLToPath(new URL("../../node_modules/zod", import.meta.url)), join(folder, "node_modules", "zod"));
  plane = await startControlPlane({ projectDirectory: folder, databaseUrl: "" });
});
afterAll(async () => {
  await plane?.close();
  rmSync(root, { recursive: true, force: true });
});

async function run(params: Record<string, string>) {
  if (!plane) throw new Error("not started");
  const client = createClient({ url: plane.url, token: plane.token });
  const { id } = await client.call("runs.create", { body: { pipeline: "far", params } });
  const end = async () => {
    for await (const _event of client.events("runs.events", { params: { runId: id } }));
    return client.call("runs.get", { params: { runId: id } });
  };
  return { id, client, end };
}

describe.skipIf(reason !== undefined)(`a detached step${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test("gets its inputs, leaves its outputs, log and events by HTTP alone", async () => {
    const { client, end, id } = await run({});
    const done = await end();
    expect(done.run.error).toBeUndefined();
    expect(done.steps.map(({ step, state }) => [step, state])).toEqual([
      ["near", "succeeded"],
      ["away", "succeeded"],
      ["back", "succeeded"],
    ]);
    const log = await client.call("logs.get", { params: { runId: id, step: "away" } });
    expect(log.text).toBe("user 65534\n");
    const metrics = await client.call("runs.metrics", { params: { runId: id } });
    expect(metrics.items).toMatchObject([{ stepName: "away", key: "auc", value: 0.5 }]);
    const artifacts = await client.call("artifacts.ofRun", { params: { runId: id } });
    const out = artifacts.items.find((item) => item.output === "out");
    const bytes = await client.bytes("artifacts.download", {
      params: { digest: out?.artifact.digest ?? "" },
      query: { type: "file" },
    });
    expect(await new Response(bytes).text()).toBe("ran\n1\n2\n3\n");
    // Nothing stays behind but the launcher and its own log.
    const [attempt] = readdirSync(elsewhere);
    expect(readdirSync(join(elsewhere, attempt ?? "", "home"))).toEqual(["launcher.py"]);
  });

  test("a failure arrives with exit code and log", async () => {
    const { end } = await run({ fail: "1" });
    const done = await end();
    const away = done.steps.find(({ step }) => step === "away");
    expect(away?.state).toBe("failed");
    expect(away?.error?.details).toMatchObject({ exitCode: 9, logTail: "user 65534\nwill fail" });
  });

  test("a cancelled run stops the step", async () => {
    const { client, id, end } = await run({ slow: "1" });
    for await (const chunk of client.events("logs.follow", { params: { runId: id, step: "away" } })) {
      if (chunk.data.text.includes("sleeping")) break;
    }
    await client.call("runs.cancel", { params: { runId: id } });
    const done = await end();
    expect(done.run.state).toBe("cancelled");
    expect(done.steps.find(({ step }) => step === "away")?.state).toBe("cancelled");
  });
});
