import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { logisticModel, matrixSignature, writeModelFolder } from "@espalier/conformance";
import { type Client, createClient } from "@espalier/contract";
import { afterEach, expect, test } from "vitest";
import { startForTest } from "../testing/control-plane.ts";
import { until } from "../testing/until.ts";
import {
  champion,
  declare,
  params,
  plan,
  projectWithModels,
  promote,
  register,
  serves,
} from "./testing/declared-project.ts";

const writeModel = (folder: string, bias: number) =>
  writeModelFolder(folder, logisticModel([1, 1], bias), matrixSignature(["x0", "x1"]));

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startProcess(project: string): Promise<{ child: ChildProcess; client: Client }> {
  const main = resolve(import.meta.dirname, "../../../cli/src/main.ts");
  const child = spawn(process.execPath, [main, "up", "--port", "0"], { cwd: project, stdio: "ignore" });
  closers.push(() => kill(child));
  const owner = await until("the control plane is up", async () => {
    const text = await readFile(join(project, ".espalier/owner.json"), "utf8").catch(() => "{}");
    const published = JSON.parse(text) as { pid?: number; url: string; token: string };
    return published.pid === child.pid ? published : undefined;
  });
  return { child, client: createClient(owner) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

const rollouts = async (client: Client) => (await client.call("endpoints.rollouts", { params })).items;

/** The newest rollout's end; one that was taken back is not waited for. */
const succeeded = (client: Client) =>
  until("its rollout has ended", async () => {
    const [last] = await rollouts(client);
    if (last?.state === "pending" || last?.state === "running") return undefined;
    expect(last).toMatchObject({ state: "succeeded" });
    return last;
  });

test("a control plane that is killed while it applies goes on with it at the next start", async () => {
  const project = await projectWithModels("capture_rate: 1", writeModel);
  const setUp = await startForTest(project);
  for (const which of ["first", "second"] as const) await register(setUp.client, which);
  await promote(setUp.client, 1);
  await setUp.close();
  await declare(project, champion);

  // Killed while the first version is being loaded.
  let plane = await startProcess(project);
  await until("it has begun", async () => (await rollouts(plane.client))[0]);
  await kill(plane.child);
  plane = await startProcess(project);
  await serves(plane.client, "1");
  await succeeded(plane.client);

  // Killed right after the alias moved, and again in the middle of the takeover.
  await promote(plane.client, 2);
  await kill(plane.child);
  plane = await startProcess(project);
  await until("the takeover has begun", async () =>
    (await rollouts(plane.client)).find((one) => one.toVersion === "2"),
  );
  await kill(plane.child);

  // The next owner is a mere command, and goes on with what was applied.
  const { client } = await startForTest(project);
  await serves(client, "2");
  await succeeded(client);
  expect((await rollouts(client)).filter((one) => one.state !== "succeeded")).toEqual([]);
  await until("nothing is left to do", async () => ((await plan(client))?.action === "none" ? true : undefined));
});
