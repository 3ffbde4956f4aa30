import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepSpec } from "@espalier/core";
import { describe, expect, it } from "vitest";
import type { SlurmJob } from "./slurm-client.ts";
import { slurmConfigSchema } from "./slurm-config.ts";
import { fromSlurmAnswer, tokenFault } from "./slurm-errors.ts";
import { batchScript, commandMain, launcherMain } from "./slurm-script.ts";
import { exitCodeOf, statusOfJob } from "./slurm-status.ts";
import { createSlurmStepRunner } from "./slurm-step-runner.ts";

const job = (more: Partial<SlurmJob>): SlurmJob => ({ job_id: 7, job_state: "RUNNING", nodes: "n1", ...more });

describe("Slurm, without a server", () => {
  it("tells every state of a job", () => {
    const cases: [Partial<SlurmJob>, object][] = [
      [
        { job_state: "PENDING", state_reason: "Resources" },
        { state: "pending", reason: "Slurm: Resources" },
      ],
      [{ job_state: "PENDING", state_reason: "None" }, { state: "pending" }],
      [{ job_state: "RUNNING" }, { state: "running" }],
      [{ job_state: "SUSPENDED" }, { state: "running" }],
      [{ job_state: "COMPLETING", exit_code: 15 }, { state: "running" }],
      [
        { job_state: "COMPLETED", exit_code: 0 },
        { state: "exited", exitCode: 0 },
      ],
      [
        { job_state: "FAILED", exit_code: 768 },
        { state: "exited", exitCode: 3 },
      ],
      [
        { job_state: "FAILED", exit_code: 0 },
        { state: "exited", exitCode: 1 },
      ],
      [{ job_state: "FAILED", exit_code: 1, nodes: "", state_reason: "BadConstraints" }, { state: "lost" }],
      [
        { job_state: "OUT_OF_MEMORY", exit_code: 0 },
        { state: "exited", exitCode: 137 },
      ],
      [{ job_state: "CANCELLED" }, { state: "cancelled" }],
      [
        { job_state: "TIMEOUT", time_limit: 12 },
        { state: "lost", cause: "timeout" },
      ],
      [{ job_state: "NODE_FAIL" }, { state: "lost" }],
      [{ job_state: "PREEMPTED" }, { state: "lost" }],
      [{ job_state: "PENDING", restart_cnt: 1 }, { state: "lost" }],
      [{ job_state: "SOMETHING_NEW" }, { state: "lost" }],
    ];
    for (const [given, expected] of cases) {
      expect([given.job_state, statusOfJob(job(given))]).toMatchObject([given.job_state, expected]);
    }
    expect([768, 9, 0].map(exitCodeOf)).toEqual([3, 137, 0]);
  });

  it("maps every kind of refusal by its number", () => {
    const cases: [number, object, string][] = [
      [500, { error_code: 2000 }, "INVALID_INPUT"],
      [500, { error_code: 2014 }, "INVALID_INPUT"],
      [400, { error_code: 9001 }, "INVALID_INPUT"],
      [500, { error_number: 2002 }, "PERMISSION_DENIED"],
      [500, { error_number: -1, description: "Unable to find JobId=1" }, "UNAVAILABLE"],
      [500, { error_number: 5005 }, "UNAVAILABLE"],
      [401, {}, "UNAUTHENTICATED"],
      [404, {}, "UNSUPPORTED"],
    ];
    for (const [status, fault, code] of cases) {
      expect([fault, fromSlurmAnswer(status, [fault], "test").code]).toEqual([fault, code]);
    }
  });

  it("sees that a token is over, and that something is none", () => {
    const token = (payload: object): string => `h.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.s`;
    expect(tokenFault(token({ exp: 100 }), 99)).toBeUndefined();
    expect(tokenFault(token({}), 99)).toBeUndefined();
    expect(tokenFault(token({ exp: 99 }), 99)?.message).toContain("1970-01-01T00:01:39");
    expect(tokenFault("no token", 0)?.code).toBe("UNAUTHENTICATED");
  });

  it("writes scripts in which nothing is taken for shell that is not", () => {
    expect(commandMain("/a b", "echo 'x'")).toContain(`cd '/a b' && exec /bin/sh -c 'echo '\\''x'\\'''`);
    expect(() => launcherMain("python3", "http://x/manifest", "a\nESPALIER_LAUNCHER_ENDS\nb")).toThrow(RangeError);
    expect(batchScript({ main: "true &", setup: "module load python" })).toMatch(/^#!\/bin\/sh\n.*\nmodule load/s);
  });

  it("writes a script that leaves the exit code, and does nothing when Slurm starts it again", () => {
    const folder = mkdtempSync(join(tmpdir(), "espalier-slurm-script-"));
    const exitFile = join(folder, "it's.json");
    const script = batchScript({ main: commandMain(folder, 'echo "$0"; exit 3'), exitFile });
    const run = (variables: Record<string, string>) =>
      spawnSync("/bin/sh", ["-c", script], { env: { ...process.env, ...variables }, encoding: "utf8" });
    expect(run({ SLURM_RESTART_COUNT: "1", SLURM_JOB_ID: "7" })).toMatchObject({ status: 75, stdout: "" });
    expect(run({ SLURM_JOB_ID: "7" })).toMatchObject({ status: 3, stdout: "/bin/sh\n", stderr: "" });
    expect(JSON.parse(readFileSync(exitFile, "utf8"))).toEqual({ exitCode: 3, job: 7 });
    rmSync(folder, { recursive: true });
  });

  it("says that nobody answers, and refuses work of the other kind", async () => {
    process.env.TEST_SLURM_TOKEN = `h.${Buffer.from("{}").toString("base64url")}.s`;
    // Port 1 is privileged and served by nothing here.
    const config = { endpoint: "http://127.0.0.1:1", user: "u", token_variable: "TEST_SLURM_TOKEN" };
    const runner = createSlurmStepRunner(config, { launcher: "" });
    await expect(runner.status('[1,"a",""]')).rejects.toMatchObject({ code: "UNREACHABLE" });
    const work: StepSpec["work"] = {
      ...{ kind: "local", command: "true", workingDirectory: "/", attemptDirectory: "/", variables: {} },
    };
    const spec: StepSpec = { attemptId: "a", label: "a", work, resources: {}, graceSeconds: 1 };
    await expect(runner.submit(spec)).rejects.toThrow(/local work/);
    const unset = createSlurmStepRunner({ ...config, token_variable: "TEST_SLURM_UNSET" }, { launcher: "" });
    await expect(unset.status('[1,"a",""]')).rejects.toThrow(/TEST_SLURM_UNSET/);
  });

  it("refuses settings it does not know", () => {
    const good = { endpoint: "http://slurm:6820", user: "me" };
    expect(slurmConfigSchema.safeParse(good).success).toBe(true);
    for (const bad of [{ endpoint: "ftp://x" }, { usr: "me" }, { shared_folder: "here" }, { token_variable: "a-b" }]) {
      expect([bad, slurmConfigSchema.safeParse({ ...good, ...bad }).success]).toEqual([bad, false]);
    }
  });
});
