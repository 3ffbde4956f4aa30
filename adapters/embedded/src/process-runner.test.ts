import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stepRunnerConformance } from "@espalier/conformance";
import type { StepRunner } from "@espalier/core";
import { describe, expect, it, test, vi } from "vitest";
import { findProcess, parseIdentity } from "./process-identity.ts";
import { createProcessRunner } from "./process-runner.ts";

stepRunnerConformance(
  { describe, it, expect },
  {
    async open() {
      const folder = mkdtempSync(join(tmpdir(), "espalier-process-"));
      return {
        runner: createProcessRunner,
        async work(attemptId, command) {
          const attemptDirectory = join(folder, attemptId);
          mkdirSync(attemptDirectory, { recursive: true });
          const variables = { PATH: process.env.PATH ?? "" };
          return { kind: "local", command, workingDirectory: folder, attemptDirectory, variables };
        },
        async lose(handle) {
          const identity = parseIdentity(readFileSync(join(handle, "identity"), "utf8"));
          if (!identity) throw new Error("no identity");
          process.kill(identity.pid, "SIGKILL");
        },
        async close() {
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  },
);

test("a process number that was given to somebody else is not mistaken for the step", async () => {
  const stat = readFileSync("/proc/self/stat", "utf8").trim();
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const own = parseIdentity(`${stat}\n${boot}\n`);
  if (!own) throw new Error("no identity");
  expect(await findProcess(own)).toBe("alive");
  expect(await findProcess({ ...own, startedAt: "1" })).toBe("replaced");
  expect(await findProcess({ ...own, boot: "another" })).toBe("replaced");
});

test("a step killed while its identity was being written is lost, not awaited for ever", async () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-process-"));
  try {
    writeFileSync(join(folder, "identity"), "");
    const { utimesSync } = await import("node:fs");
    utimesSync(join(folder, "identity"), 1, 1);
    expect(await createProcessRunner().status(folder)).toMatchObject({ state: "lost" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what began in another control plane's folder is ended and lost; a folder reached by another path is the same", async () => {
  const root = mkdtempSync(join(tmpdir(), "espalier-foreign-"));
  try {
    for (const name of ["one/a", "two"]) mkdirSync(join(root, name), { recursive: true });
    symlinkSync(join(root, "one"), join(root, "linked"));
    const attemptDirectory = join(root, "one/a");
    const variables = { PATH: process.env.PATH ?? "" };
    const work = {
      kind: "local",
      command: "exec sleep 600",
      workingDirectory: root,
      attemptDirectory,
      variables,
    } as const;
    const own = createProcessRunner({ attemptsFolder: join(root, "one") });
    const handle = await own.submit({ attemptId: "a", label: "foreign", work, resources: {}, graceSeconds: 1 });
    const linked = createProcessRunner({ attemptsFolder: join(root, "linked") });
    await vi.waitUntil(async () => (await linked.status(handle)).state === "running", { timeout: 30_000 });
    const other = createProcessRunner({ attemptsFolder: join(root, "two") });
    expect(await other.status(handle)).toMatchObject({
      state: "lost",
      message: expect.stringContaining("another control plane"),
    });
    await vi.waitUntil(async () => (await linked.status(handle)).state === "lost", { timeout: 30_000 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** An all-reduce by hand: every member sends its number to the first, which answers each with the sum. */
const allReduce = `
import os, socket
nodes, rank = int(os.environ["ESPALIER_NODES"]), int(os.environ["ESPALIER_NODE_RANK"])
place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
if rank == 0:
    server = socket.create_server(place)
    peers = [server.accept()[0] for _ in range(nodes - 1)]
    total = sum(int(peer.recv(16)) for peer in peers)
    for peer in peers: peer.sendall(str(total).encode())
    print("sum", total)
else:
    while True:
        try:
            peer = socket.create_connection(place, timeout=30)
            break
        except ConnectionRefusedError:
            pass
    peer.sendall(str(10 ** rank).encode())
    print("sum", int(peer.recv(16)))
open(os.path.join(os.environ["ESPALIER_OUTPUTS"], "rank"), "w").write(str(rank))
`;

async function gang(
  command: string,
  nodes: number,
  body: (folder: string, handle: string, runner: StepRunner) => Promise<void>,
) {
  const folder = mkdtempSync(join(tmpdir(), "espalier-gang-"));
  try {
    mkdirSync(join(folder, "outputs"));
    writeFileSync(join(folder, "reduce.py"), allReduce);
    const runner = createProcessRunner();
    const variables = { PATH: process.env.PATH ?? "", ESPALIER_OUTPUTS: join(folder, "outputs") };
    const work = { kind: "local", command, workingDirectory: folder, attemptDirectory: folder, variables } as const;
    const handle = await runner.submit({ attemptId: "a", label: "gang", work, resources: {}, nodes, graceSeconds: 1 });
    await body(folder, handle, runner);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the members of a gang find each other; output and log are the first's", () =>
  gang("python3 reduce.py", 3, async (folder, handle, runner) => {
    expect(await runner.wait?.(handle)).toEqual({ state: "exited", exitCode: 0 });
    expect(readFileSync(join(folder, "log"), "utf8")).toBe("sum 110\n");
    expect(readFileSync(join(folder, "outputs/rank"), "utf8")).toBe("0");
    expect(readFileSync(join(folder, "ranks/2/log"), "utf8")).toBe("sum 110\n");
  }));

test("when a member of a gang fails the others are stopped, and its exit code is the attempt's", () =>
  gang('[ "$ESPALIER_NODE_RANK" = 1 ] && exit 7; trap "" TERM; exec sleep 600', 3, async (folder, handle, runner) => {
    expect(await runner.wait?.(handle)).toEqual({ state: "exited", exitCode: 7 });
    expect(readFileSync(join(folder, "log"), "utf8")).toContain("member 1 of 3 ended with exit code 7");
    const { pid } = parseIdentity(readFileSync(join(folder, "identity"), "utf8")) ?? { pid: 0 };
    await vi.waitFor(() => expect(() => process.kill(-pid, 0)).toThrow("ESRCH"), { timeout: 30_000 });
  }));

test(
  "a gang whose member is killed before it can tell its end does not wait for it",
  () =>
    gang(
      'echo "$PPID" >"$ESPALIER_OUTPUTS/subshell"; touch "$ESPALIER_OUTPUTS/ready"; exec sleep 600',
      3,
      async (folder, handle, runner) => {
        const outputs = join(folder, "ranks/1/outputs");
        await vi.waitUntil(() => existsSync(join(outputs, "ready")), { timeout: 30_000 });
        process.kill(Number(readFileSync(join(outputs, "subshell"), "utf8")), "SIGKILL");
        expect(await runner.wait?.(handle)).toEqual({ state: "exited", exitCode: 137 });
        expect(readFileSync(join(folder, "log"), "utf8")).toContain("member 1 of 3 ended with exit code 137");
      },
    ),
  60_000,
);

test("a gang is cancelled whole", () =>
  gang('echo ready; trap "echo saved; exit 0" TERM; while :; do sleep 0.1; done', 2, async (folder, handle, runner) => {
    while (!readFileSync(join(folder, "log"), { encoding: "utf8", flag: "a+" }).includes("ready")) await pause(20);
    await runner.cancel(handle, 10);
    expect(await runner.wait?.(handle)).toEqual({ state: "cancelled" });
    expect(readFileSync(join(folder, "log"), "utf8")).toMatch(/^saved$/m);
  }));
