import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import { expect, test } from "vitest";
import { freePort } from "../../../scripts/servers/free-port.ts";
import { makeProject, runToEnd, startForTest } from "./testing/control-plane.ts";

const files = {
  "pipelines/wait.yaml": `name: wait
params: { folder: "" }
steps:
  wait:
    run: touch \${{ params.folder }}/started; until [ -e \${{ params.folder }}/go ]; do sleep 0.05; done; echo $MLFLOW_TRACKING_URI > \${{ outputs.seen }}
    outputs: { seen: file }
`,
};

const portOf = (url: string): number => Number(new URL(url).port);
const answers = async (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    (response) => response.ok,
    () => false,
  );

async function startWaiting() {
  const directory = await makeProject(files);
  const first = await startForTest(directory);
  const run = await first.client.call("runs.create", { body: { pipeline: "wait", params: { folder: directory } } });
  await expect.poll(() => existsSync(join(directory, "started")), { timeout: 20_000 }).toBe(true);
  return { directory, first, run, go: () => writeFileSync(join(directory, "go"), "") };
}

test("every port that a running step may know is answered after restarts, whoever takes over", async () => {
  const { directory, first, run, go } = await startWaiting();
  await first.close();
  expect(await answers(portOf(first.url))).toBe(false);
  // A command: it comes back where its predecessor was.
  const second = await startForTest(directory);
  expect(second.url).toBe(first.url);
  await second.close();
  // `up` on a port of its own: both are answered, and after it again.
  const third = await startForTest(directory, { role: "up", port: await freePort() });
  expect(third.url).not.toBe(first.url);
  expect(await answers(portOf(first.url))).toBe(true);
  await third.close();
  expect(await answers(portOf(first.url))).toBe(false);
  const fourth = await startForTest(directory);
  expect(fourth.url).toBe(third.url);
  expect(await answers(portOf(first.url))).toBe(true);
  go();
  await runToEnd(fourth.client, run.id);
  expect((await fourth.client.call("runs.get", { params: { runId: run.id } })).run.state).toBe("succeeded");
});

test("a port that somebody else has taken meanwhile is told of, and another one serves", async () => {
  const { directory, first, run, go } = await startWaiting();
  await first.close();
  const other = createServer((_request, response) => response.writeHead(418).end());
  await new Promise<void>((resolve) => other.listen(portOf(first.url), "127.0.0.1", resolve));
  try {
    const lines: string[] = [];
    const sink = new Writable({
      write: (chunk, _encoding, done) => {
        lines.push(String(chunk));
        done();
      },
    });
    const second = await startForTest(directory, { logger: pino({ level: "warn" }, sink) });
    expect(second.url).not.toBe(first.url);
    expect(await answers(portOf(second.url))).toBe(true);
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ port: portOf(first.url), code: "PORT_IN_USE" }),
    );
    go();
    await runToEnd(second.client, run.id);
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test("what is declared wins; `up` insists on it, a command is content with another port", async () => {
  const port = await freePort();
  const directory = await makeProject({ "espalier.yaml": `project: flights\ncontrol_plane: { port: ${port} }\n` });
  const blocked = await makeProject({
    "espalier.yaml": `project: flights\ncontrol_plane: { url: "http://127.0.0.1:${port}" }\n`,
  });
  const plane = await startForTest(directory);
  expect(portOf(plane.url)).toBe(port);
  await expect(startForTest(blocked, { role: "up" })).rejects.toMatchObject({ code: "PORT_IN_USE" });
  expect(portOf((await startForTest(blocked)).url)).not.toBe(port);
});

/** Free a moment ago. */
