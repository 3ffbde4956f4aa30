import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { DoctorReport } from "@espalier/contract";
import { toEspalierError } from "@espalier/core";
import { findProject } from "@espalier/host";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine } from "../terminal/output.ts";

type Check = DoctorReport["checks"][number];
interface DoctorOptions extends CommonOptions {
  deep?: boolean;
  repair?: boolean;
  stack?: string;
}

const execute = promisify(execFile);

export function command(): Command {
  return projectCommand("doctor", "Check the machine, the project's record and store, and its tools.")
    .option("--deep", "read and hash every stored blob")
    .option("--repair", "move damaged blobs aside, so that steps can write them again")
    .option("--stack <name>", "the stack to check")
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const checks: Check[] = [nodeCheck(), await pythonCheck()];
  try {
    await findProject(options.project ?? process.cwd());
    await withSession(options, async ({ client }) => {
      if (options.repair) checks.push(...(await client.call("doctor.repair", { body: {} })).checks);
      const report = await client.call("doctor.check", {
        query: { deep: options.deep ?? false, ...(options.stack === undefined ? {} : { stack: options.stack }) },
      });
      checks.push(...report.checks);
    });
  } catch (error) {
    const { message, at, hint } = toEspalierError(error);
    checks.push({
      name: "project",
      status: "fail",
      message,
      ...(at === undefined ? {} : { at }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  const healthy = checks.every((check) => check.status !== "fail");
  if (options.json) printJson({ healthy, checks });
  else for (const check of checks) printCheck(check);
  if (!healthy) process.exitCode = 3;
}

const marks = { ok: colors.green("✓"), warn: colors.yellow("!"), fail: colors.red("✗") };

function printCheck({ name, status, message, at, means, hint }: Check): void {
  printLine(`${marks[status]} ${name.padEnd(12)} ${at === undefined ? "" : `${colors.bold(at)}: `}${message}`);
  if (means !== undefined) printLine(colors.dim(`  ${means}`));
  if (hint !== undefined && status !== "ok") printLine(`  ${colors.cyan("next")} ${hint}`);
}

function nodeCheck(): Check {
  return { name: "node", status: "ok", message: `Node ${process.versions.node}` };
}

async function pythonCheck(): Promise<Check> {
  try {
    const { stdout } = await execute("python3", ["-c", "import sys, venv, ensurepip; print(sys.version.split()[0])"]);
    return { name: "python", status: "ok", message: `Python ${stdout.trim()} with venv` };
  } catch (error) {
    const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
    return {
      name: "python",
      status: "warn",
      message: absent
        ? "there is no python3; steps with a Python environment can not run"
        : "python3 has no venv module",
      hint: "Debian and Ubuntu: apt-get install python3-venv",
    };
  }
}
