import { createClient } from "@espalier/contract";
import { ulid } from "@espalier/core";
import { expect, test } from "vitest";
import { makeProject, runToEnd, startForTest } from "./testing/control-plane.ts";

const pipeline = `
name: words
params: { greeting: hello, times: 2 }
steps:
  ingest:
    uses: dataset
    inputs: { file: ./data/names.csv }
    with: { name: names }
  greet:
    run: |
      for i in $(seq \${{ params.times }}); do sed "s/^/\${{ params.greeting }} /" \${{ inputs.names }}; done > \${{ outputs.lines }}
      echo '{"type":"metric","key":"lines","value":2}' >> $ESPALIER_EVENTS
      echo said it
    inputs: { names: ingest.dataset }
    outputs: { lines: file }
  count:
    run: wc -l < \${{ inputs.lines }} > \${{ outputs.count }}
    inputs: { lines: greet.lines }
    outputs: { count: file }
`;
const files = { "pipelines/words.yaml": pipeline, "data/names.csv": "ana\nben\n" };

test("a pipeline runs end to end over HTTP, and the second run is cached", async () => {
  const { client } = await startForTest(await makeProject(files));
  const run = await client.call("runs.create", { body: { pipeline: "words" } });
  expect(run).toMatchObject({ pipeline: "words", params: { greeting: "hello", times: 2 } });
  const types = await runToEnd(client, run.id);
  expect(types[0]).toBe("run.created");
  const done = await client.call("runs.get", { params: { runId: "latest" } });
  expect(done.run.error).toBeUndefined();
  expect(done.run.state).toBe("succeeded");
  expect(done.steps.map((step) => [step.step, step.state])).toEqual([
    ["ingest", "succeeded"],
    ["greet", "succeeded"],
    ["count", "succeeded"],
  ]);
  expect(done.graph).toEqual({ ingest: [], greet: ["ingest"], count: ["greet"] });

  const log = await client.call("logs.get", { params: { runId: run.id, step: "greet" } });
  expect(log).toMatchObject({ text: "said it\n", ended: true });
  const followed: string[] = [];
  for await (const chunk of client.events("logs.follow", { params: { runId: run.id, step: "greet" } })) {
    followed.push(chunk.data.text);
  }
  expect(followed.join("")).toBe("said it\n");

  const metrics = await client.call("runs.metrics", { params: { runId: run.id } });
  expect(metrics.items).toMatchObject([{ stepName: "greet", key: "lines", value: 2 }]);
  const artifacts = await client.call("artifacts.ofRun", { params: { runId: run.id } });
  const count = artifacts.items.find((item) => item.output === "count");
  const bytes = await client.bytes("artifacts.download", {
    params: { digest: count?.artifact.digest ?? "" },
    query: { type: "file" },
  });
  expect((await new Response(bytes).text()).trim()).toBe("4");

  const again = await client.call("runs.create", { body: { pipeline: "words" } });
  await runToEnd(client, again.id);
  const cached = await client.call("runs.get", { params: { runId: again.id } });
  expect(cached.steps.map((step) => step.state)).toEqual(["cached", "cached", "cached"]);

  const changed = await client.call("runs.create", { body: { pipeline: "words", params: { times: "3" } } });
  await runToEnd(client, changed.id);
  const partly = await client.call("runs.get", { params: { runId: changed.id } });
  expect(partly.steps.map((step) => step.state)).toEqual(["cached", "succeeded", "succeeded"]);
  const why = await client.call("runs.why", { params: { runId: changed.id, step: "greet" } });
  expect(why.differences).toEqual([{ part: "params.times", before: 2, after: 3 }]);
  const compared = await client.call("runs.compare", { query: { ids: `${run.id},${changed.id}` } });
  expect(compared.params.find((param) => param.name === "times")).toMatchObject({ values: [2, 3], differs: true });

  expect((await client.call("datasets.list")).items).toMatchObject([{ name: "names", versions: 1 }]);
  const lineage = await client.call("lineage.get", { query: { id: "dataset:names" } });
  expect(lineage.edges).toContainEqual({ from: "dataset:names@1", to: `run:${run.id}`, relation: "read" });
  expect((await client.call("doctor.check", { query: { deep: true } })).checks).toContainEqual(
    expect.objectContaining({ name: "artifacts", status: "ok" }),
  );
  expect((await client.call("audit.list")).items.map((row) => row.action)).toEqual(Array(3).fill("runs.create"));
});

test("a failed step ends the run with its error, and a resumed run goes on", async () => {
  const project = await makeProject({
    "pipelines/flaky.yaml": `
name: flaky
steps:
  first: { run: "echo one > \${{ outputs.out }}", outputs: { out: file } }
  second:
    run: "test -e \${{ inputs.flag }}/go && cat \${{ inputs.a }} > \${{ outputs.out }}"
    inputs: { a: first.out, flag: ./flags }
    outputs: { out: file }
`,
    "flags/stop": "",
  });
  const { client } = await startForTest(project);
  const run = await client.call("runs.create", { body: { pipeline: "flaky" } });
  await runToEnd(client, run.id);
  const failed = await client.call("runs.get", { params: { runId: run.id } });
  expect(failed.run.state).toBe("failed");
  expect(failed.steps[1]?.error).toMatchObject({ code: "STEP_FAILED" });
  const resumed = await client.call("runs.resume", { params: { runId: run.id } });
  await runToEnd(client, resumed.id);
  const after = await client.call("runs.get", { params: { runId: resumed.id } });
  expect(after.steps[0]?.state).toBe("cached");
  await expect(client.call("runs.resume", { params: { runId: "nothing" } })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("a step that waits is approved, and cancelling stops a run", async () => {
  const project = await makeProject({
    "pipelines/ask.yaml": `
name: ask
steps:
  ask: { uses: approve, with: { question: "Go on?" } }
  work: { run: "sleep 600", needs: [ask] }
`,
  });
  const { client } = await startForTest(project);
  const run = await client.call("runs.create", { body: { pipeline: "ask" } });
  for await (const event of client.events("runs.events", { params: { runId: run.id } })) {
    if (event.data.step === "ask" && event.data.type === "step.waiting") {
      expect((await client.call("approvals.list", { query: { state: "waiting" } })).items).toMatchObject([
        { step: "ask", message: "Go on?" },
      ]);
      await client.call("runs.approve", { params: { runId: run.id, step: "ask" }, body: { decision: "approve" } });
    }
    if (event.data.step === "work" && event.data.type === "attempt.submitted") {
      await client.call("runs.cancel", { params: { runId: run.id } });
    }
  }
  const ended = await client.call("runs.get", { params: { runId: run.id } });
  expect(ended.run.state).toBe("cancelled");
});

test("a second command becomes a client of the first; its control plane goes on where the first stopped", async () => {
  const project = await makeProject({
    "pipelines/slow.yaml": `
name: slow
steps:
  wait: { run: "while ! test -e $ESPALIER_INPUTS/../../../../go; do sleep 0.1; done; echo ok > \${{ outputs.out }}", outputs: { out: file } }
`,
  });
  const first = await startForTest(project);
  const second = await startForTest(project);
  expect([first.owned, second.owned]).toEqual([true, false]);
  expect(second.url).toBe(first.url);
  await expect(startForTest(project, { role: "up" })).rejects.toMatchObject({ code: "CONFLICT" });
  const run = await second.client.call("runs.create", { body: { pipeline: "slow" } });
  for await (const event of second.client.events("runs.events", { params: { runId: run.id } })) {
    if (event.data.type === "attempt.submitted") break;
  }
  await first.close();
  const { writeFile } = await import("node:fs/promises");
  await writeFile(`${project}/go`, "");
  const third = await startForTest(project);
  expect(third.owned).toBe(true);
  await runToEnd(third.client, run.id);
  const done = await third.client.call("runs.get", { params: { runId: run.id } });
  expect(done.run.state).toBe("succeeded");
  expect(done.attempts).toHaveLength(1);
});

test("a port in use, and an address beyond loopback without tokens, are refused clearly", async () => {
  const first = await startForTest(await makeProject({}));
  const port = Number(new URL(first.url).port);
  await expect(startForTest(await makeProject({}), { port })).rejects.toMatchObject({ code: "PORT_IN_USE" });
  const bare = await makeProject({});
  await expect(startForTest(bare, { host: "0.0.0.0" })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  const local = await startForTest(bare);
  const { token } = await local.client.call("tokens.create", { body: { name: "ci", role: "viewer" } });
  await local.close();
  const open = await startForTest(bare, { host: "0.0.0.0" });
  const answer = await fetch(`${open.url}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
});

test("health and metrics need no token and tell no secret", async () => {
  const plane = await startForTest(await makeProject({}));
  expect(await (await fetch(`${plane.url}/health`)).json()).toMatchObject({ status: "ok" });
  const metrics = await (await fetch(`${plane.url}/metrics`)).text();
  expect(metrics).toContain("espalier_active_runs");
  expect(metrics).not.toContain(plane.token);
});

test("the routes of attempts, and the OpenAPI document, need a token as well", async () => {
  const plane = await startForTest(await makeProject({}));
  const attempt = `${plane.url}/api/v1/attempts/01ARZ3NDEKTSV4RRFFQ69G5FAV`;
  const requests: [string, string][] = [
    ["GET", `${attempt}/manifest`],
    ["GET", `${attempt}/inputs/data`],
    ["POST", `${attempt}/log?offset=0`],
    ["POST", `${attempt}/events?offset=0`],
    ["POST", `${attempt}/outputs`],
    ["PUT", `${attempt}/blobs/00`],
    ["POST", `${attempt}/exit`],
  ];
  for (const [method, url] of requests) {
    expect((await fetch(url, { method })).status, url).toBe(401);
    // Not even the owner's: these routes are the attempt's own.
    const asOwner = await fetch(url, { method, headers: { authorization: `Bearer ${plane.token}` } });
    expect(asOwner.status, url).toBe(403);
  }
  expect((await fetch(`${plane.url}/api/v1/openapi.json`)).status).toBe(401);
});

test("events resume after Last-Event-ID", async () => {
  const plane = await startForTest(
    await makeProject({ "pipelines/one.yaml": 'name: one\nsteps:\n  one: { run: "true" }\n' }),
  );
  const run = await plane.client.call("runs.create", { body: { pipeline: "one" } });
  const types = await runToEnd(plane.client, run.id);
  const response = await fetch(`${plane.url}/api/v1/runs/${run.id}/events`, {
    headers: { authorization: `Bearer ${plane.token}`, "last-event-id": "2" },
  });
  const ids = [...(await response.text()).matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
  expect(ids).toEqual(types.slice(2).map((_, index) => index + 3));
});

test("of several commands on one project none fails, whichever of them ends first", async () => {
  const project = await makeProject({
    "pipelines/one.yaml": 'name: one\nsteps:\n  one: { run: "true", cache: false }\n',
  });
  // What the CLI does: when the owner, another command, has ended, it finds the next owner or becomes it.
  const command = async (id: string): Promise<string> => {
    for (;;) {
      const plane = await startForTest(project);
      const ownerGone = new AbortController();
      const client = createClient({
        url: plane.url,
        token: plane.token,
        fetch: (input, init) =>
          fetch(input, init).catch((error: unknown) => {
            ownerGone.abort(error);
            throw error;
          }),
      });
      const { signal } = ownerGone;
      try {
        await client.call("runs.create", { body: { pipeline: "one", id } });
        for await (const _event of client.events("runs.events", { params: { runId: id }, signal })) {
          // Only the end matters.
        }
        return (await client.call("runs.get", { params: { runId: id } })).run.state;
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await plane.close();
      }
    }
  };
  const ids = Array.from({ length: 4 }, () => ulid());
  expect(await Promise.all(ids.map(command))).toEqual(Array(4).fill("succeeded"));
});
