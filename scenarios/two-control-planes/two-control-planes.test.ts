import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@espalier/contract";
import { ulid } from "@espalier/core";
import { openRecord } from "@espalier/server";
import { afterAll, expect, test, vi } from "vitest";
import { startPostgres } from "../../scripts/servers/postgres.ts";
import { stepProcesses } from "../faults/kill.ts";
import { writeProject } from "../faults/plane.ts";

/** Each step tells its effect in a file that all attempts append to; the first waits until the test lets it go. */
const pipeline = `name: effects
steps:
  held:
    run: 'echo held >>"$EFFECTS"; until [ -e "$EFFECTS.go" ]; do sleep 0.1; done; echo 1 >\${{ outputs.out }}'
    outputs: { out: file }
    secrets: [EFFECTS]
    retry: { attempts: 2, causes: [lost] }
  after:
    run: 'echo after >>"$EFFECTS"; cat \${{ inputs.out }} >\${{ outputs.out }}'
    inputs: { out: held.out }
    outputs: { out: file }
    secrets: [EFFECTS]
  log: { uses: dataset, inputs: { file: after.out }, with: { name: effects } }
`;

const program = fileURLToPath(new URL("plane-main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "espalier-two-planes-"));
const effects = join(folder, "effects");
/** Two checkouts of one project, as on two machines: only database and store are shared. */
const checkouts = [join(folder, "one"), join(folder, "two")];
const children: ChildProcess[] = [];
const postgres = await startPostgres();

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const pid of checkouts.flatMap(stepProcesses)) process.kill(pid, "SIGKILL");
  if (!("skipped" in postgres)) await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startPlane(checkout: string, databaseUrl: string) {
  const child = spawn(process.execPath, [program, checkout, databaseUrl], {
    env: { ...process.env, EFFECTS: effects },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { child, client: createClient(JSON.parse(String(line)) as { url: string; token: string }) };
}

test.skipIf("skipped" in postgres)(
  "a killed control plane's run is taken over by the other and no effect is recorded twice",
  { timeout: 120_000 },
  async () => {
    const { url } = postgres as { url: string };
    const stacks = { laptop: { artifacts: { with: { path: join(folder, "store") } } } };
    const files = {
      "espalier.yaml": JSON.stringify({ project: "effects", default_stack: "laptop", stacks }),
      "pipelines/effects.yaml": pipeline,
    };
    for (const checkout of checkouts) writeProject(checkout, files);
    const [one = "", two = ""] = checkouts;
    const first = await startPlane(one, url);
    const id = ulid();
    await first.client.call("runs.create", { body: { pipeline: "effects", id } });
    await vi.waitUntil(() => existsSync(effects), { timeout: 30_000 });
    const second = await startPlane(two, url);
    const record = await openRecord({ postgresUrl: url }, "effects");
    try {
      const before = await record.engine.run(id);
      first.child.kill("SIGKILL");
      await once(first.child, "exit");
      await vi.waitUntil(async () => ((await record.engine.run(id))?.leaseEpoch ?? 0) > (before?.leaseEpoch ?? 0), {
        timeout: 60_000,
        interval: 200,
      });
      writeFileSync(`${effects}.go`, "");
      await vi.waitUntil(
        async () => (await second.client.call("runs.get", { params: { runId: id } })).run.state === "succeeded",
        { timeout: 60_000, interval: 200 },
      );
      const attempts = await record.engine.attempts(id);
      // What ran on the machine that is gone is lost and made anew; what comes after it is made once.
      expect(attempts.map(({ step, number, state }) => `${step} ${number} ${state}`).sort()).toEqual([
        "after 1 succeeded",
        "held 1 lost",
        "held 2 succeeded",
        "log 1 succeeded",
      ]);
      expect(
        readFileSync(effects, "utf8")
          .split("\n")
          .filter((line) => line === "after"),
      ).toHaveLength(1);
    } finally {
      await record.close();
    }
  },
);
