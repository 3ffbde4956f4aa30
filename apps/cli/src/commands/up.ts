import { once } from "node:events";
import { EspalierError } from "@espalier/core";
import { findProject } from "@espalier/host";
import { startControlPlane } from "@espalier/server";
import type { Command } from "commander";
import colors from "picocolors";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { printJson, printLine } from "../terminal/output.ts";

interface UpOptions extends CommonOptions {
  port?: string;
  host: string;
  stack?: string;
  untilIdle?: boolean;
}

export function command(): Command {
  return projectCommand(
    "up",
    "Run the control plane: API, engine, schedules, monitors, rollouts. Ctrl-C stops it; steps and endpoints go on.",
  )
    .option("--port <number>", "port of the API (0: any free one; default: `control_plane.port`, else 7878)")
    .option("--host <address>", "address to listen on; any but loopback needs tokens", "127.0.0.1")
    .option("--stack <name>", "the stack of endpoints, secrets and monitors")
    .option("--until-idle", "end when there has been no run for ten seconds")
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const projectDirectory = await findProject(options.project ?? process.cwd());
  const plane = await startControlPlane({
    projectDirectory,
    host: options.host,
    role: "up",
    ...(options.port === undefined ? {} : { port: portOf(options.port) }),
    ...(options.stack === undefined ? {} : { stack: options.stack }),
  });
  const signInUrl = plane.signInUrl?.();
  if (options.json) printJson({ url: plane.url, pid: process.pid, ...(signInUrl === undefined ? {} : { signInUrl }) });
  else {
    printLine(`${colors.green("Espalier is up")} at ${colors.bold(plane.url)}`);
    if (signInUrl !== undefined)
      printLine(`Web UI: ${colors.bold(signInUrl)} ${colors.dim("(good once, for 15 minutes)")}`);
    printLine(colors.dim(`API ${plane.url}/api/v1/openapi.json, token in .espalier/owner.json. Ctrl-C stops it.`));
  }
  const stopped = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  if (options.untilIdle) await Promise.race([stopped, plane.idle(10)]);
  else await stopped;
  await plane.close();
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new EspalierError("INVALID_INPUT", `"${text}" is no port`, {
    at: "--port",
    hint: "A port is a number from 1 to 65535; 0 takes any that is free.",
  });
}
