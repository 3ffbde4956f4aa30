import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { StepRunner, StepSpec, StepStatus } from "@espalier/core";
import { caseRunner, type Skips, type TestRunner } from "./suite.ts";

export interface OpenedStepRunner {
  /** The runner of the process that runs now; called again, that of the next process, which knows nothing of the first. */
  runner(): StepRunner;
  /** Lays out one attempt of a shell command. Called again with the same id it gives the same work. */
  work(attemptId: string, command: string): Promise<StepSpec["work"]>;
  /** The step's log, where it comes by the launcher and not by the runner. */
  logs?: StepRunner["logs"];
  /** Kills the machinery around a step, so that its end is never told. Without it, skip that case. */
  lose?(handle: string): Promise<void>;
  close(): Promise<void>;
}

export interface StepRunnerSubject {
  open(): Promise<OpenedStepRunner>;
  skips?: Skips;
}

/** Every step runner passes this. */
export function stepRunnerConformance(testRunner: TestRunner, subject: StepRunnerSubject): void {
  const { expect } = testRunner;
  const { it, finish } = caseRunner(testRunner, subject.skips);
  type Submit = (
    command: string,
    id?: string,
  ) => Promise<{
    id: string;
    handle: string;
    runner: StepRunner;
    work: StepSpec["work"];
  }>;
  const withRunner = (name: string, body: (submit: Submit, opened: OpenedStepRunner) => Promise<void>): void =>
    it(name, async () => {
      const opened = await subject.open();
      const started: { runner: StepRunner; handle: string }[] = [];
      try {
        await body(async (command, id = randomUUID()) => {
          const work = await opened.work(id, command);
          const runner = opened.logs ? { ...opened.runner(), logs: opened.logs } : opened.runner();
          const label = `conformance/${id}`;
          const handle = await runner.submit({ attemptId: id, label, work, resources: {}, graceSeconds: 1 });
          started.push({ runner, handle });
          return { id, handle, runner, work };
        }, opened);
      } finally {
        for (const { runner, handle } of started) await runner.cancel(handle, 0);
        for (const { runner, handle } of started) await untilEnded(runner, handle);
        await opened.close();
      }
    });

  testRunner.describe("step runner conformance", () => {
    withRunner("tells success and failure by exit code", async (submit) => {
      const good = await submit("true");
      const bad = await submit("exit 7");
      expect(await untilEnded(good.runner, good.handle)).toEqual({ state: "exited", exitCode: 0 });
      expect(await untilEnded(bad.runner, bad.handle)).toEqual({ state: "exited", exitCode: 7 });
      expect(await bad.runner.status(bad.handle)).toEqual({ state: "exited", exitCode: 7 });
      const { work } = good;
      if (work.kind === "local") expect(existsSync(join(work.attemptDirectory, "identity"))).toBe(true);
    });
    withRunner("ends a command that is not there with 127", async (submit) => {
      const { runner, handle } = await submit("no-such-command-anywhere");
      expect(await untilEnded(runner, handle)).toEqual({ state: "exited", exitCode: 127 });
    });
    withRunner("starts an attempt once, however often it is submitted", async (submit) => {
      const first = await submit("echo once");
      const again = await submit("echo once", first.id);
      expect(again.handle).toBe(first.handle);
      await untilEnded(first.runner, first.handle);
      const late = await submit("echo once", first.id);
      expect(late.handle).toBe(first.handle);
      await untilEnded(late.runner, late.handle);
      expect(await allLogs(first.runner, first.handle)).toBe("once\n");
    });
    withRunner("reads logs from any offset on", async (submit) => {
      const { runner, handle } = await submit("echo out; echo err >&2");
      await untilEnded(runner, handle);
      expect(await allLogs(runner, handle)).toBe("out\nerr\n");
      const part = await runner.logs(handle, 4);
      expect(Buffer.from(part.bytes).toString()).toBe("err\n");
      expect(part.next).toBe(8);
      expect((await runner.logs(handle, 8)).next).toBe(8);
    });
    withRunner("stops a step, its children, and one that ignores SIGTERM", async (submit) => {
      const { runner, handle } = await submit("trap '' TERM; echo ready; sleep 600 & while :; do sleep 1; done");
      await untilLogged(runner, handle, "ready");
      await runner.cancel(handle, 1);
      expect(await untilEnded(runner, handle)).toEqual({ state: "cancelled" });
      await runner.cancel(handle, 1);
    });
    withRunner("lets a step end in order on SIGTERM", async (submit) => {
      const command = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
      const { runner, handle } = await submit(command);
      await untilLogged(runner, handle, "ready");
      await runner.cancel(handle, 60);
      expect(await untilEnded(runner, handle)).toEqual({ state: "cancelled" });
      expect(await allLogs(runner, handle)).toContain("saved");
    });
    withRunner("changes nothing about a step that has ended when it is cancelled", async (submit) => {
      const { runner, handle } = await submit("true");
      await untilEnded(runner, handle);
      await runner.cancel(handle, 1);
      expect(await runner.status(handle)).toEqual({ state: "exited", exitCode: 0 });
    });
    withRunner("finds what another process submitted", async (submit, opened) => {
      const { runner, handle } = await submit("echo ready; sleep 0.5; exit 5");
      await untilLogged(runner, handle, "ready");
      expect(await untilEnded(opened.runner(), handle)).toEqual({ state: "exited", exitCode: 5 });
    });
    withRunner("reports what was killed with its machinery as lost", async (submit, opened) => {
      if (!opened.lose) throw new Error("the subject has no `lose`: skip this case and say why");
      const { runner, handle } = await submit("echo ready; sleep 600");
      await untilLogged(runner, handle, "ready");
      await opened.lose(handle);
      expect(await untilEnded(opened.runner(), handle)).toMatchObject({ state: "lost" });
    });
    finish();
  });
}

async function untilEnded(runner: StepRunner, handle: string): Promise<StepStatus> {
  if (runner.wait) return runner.wait(handle);
  for (;;) {
    const status = await runner.status(handle);
    if (status.state !== "pending" && status.state !== "running") return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilLogged(runner: StepRunner, handle: string, text: string): Promise<void> {
  while (!(await allLogs(runner, handle)).includes(text)) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function allLogs(runner: StepRunner, handle: string): Promise<string> {
  let text = "";
  for (let offset = 0; ; ) {
    const { bytes, next } = await runner.logs(handle, offset);
    if (next === offset) return text;
    text += Buffer.from(bytes).toString();
    offset = next;
  }
}
