import type { Endpoint } from "@espalier/contract";
import { EspalierError } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { printJson, printLine, printTable } from "../terminal/output.ts";

interface DeployOptions extends CommonOptions {
  strategy?: string;
  weight?: string;
  capture?: string;
  gate?: boolean;
  delete?: boolean;
}

export function command(): Command {
  return projectCommand("deploy", "Serve a registered model version. Without arguments: what is served.")
    .argument("[endpoint]", "the endpoint")
    .argument("[model@version]", "for example flights-delay@3 or flights-delay@challenger")
    .option("--strategy <strategy>", "direct or canary")
    .option("--weight <share>", "first share of a canary, 0 to 1")
    .option("--capture <share>", "share of requests to capture, 0 to 1")
    .option("--no-gate", "serve a version without a passed verdict; it is recorded")
    .option("--delete", "stop serving; the history stays")
    .action(deploy);
}

async function deploy(endpoint: string | undefined, place: string | undefined, options: DeployOptions): Promise<void> {
  await withSession(options, async ({ client }) => {
    if (endpoint === undefined) {
      const items = await Array.fromAsync(client.all("endpoints.list"));
      if (options.json) return printJson(items);
      if (items.length === 0) return printLine("Nothing is served yet.");
      return printEndpoints(items);
    }
    if (options.delete) {
      await client.call("endpoints.delete", { params: { name: endpoint } });
      return options.json ? printJson({ deleted: endpoint }) : printLine(`${endpoint} is stopped`);
    }
    if (place === undefined) {
      const one = await client.call("endpoints.get", { params: { name: endpoint } });
      return options.json ? printJson(one) : printEndpoints([one]);
    }
    const match = /^([^@]+)@(.+)$/.exec(place);
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new EspalierError("INVALID_INPUT", `"${place}" is not model@version`);
    }
    const version = /^\d+$/.test(match[2]) || match[2] === "latest" ? match[2] : `@${match[2]}`;
    const answer = await client.call("endpoints.deploy", {
      params: { name: endpoint },
      body: {
        model: match[1],
        version,
        ...(options.strategy === undefined ? {} : { strategy: options.strategy as "direct" | "canary" }),
        ...(options.weight === undefined ? {} : { weight: Number(options.weight) }),
        ...(options.capture === undefined ? {} : { captureRate: Number(options.capture) }),
        ...(options.gate === false ? { gate: "none" as const } : {}),
      },
    });
    if (options.json) return printJson(answer);
    printLine(answer.unchanged ? "unchanged" : `${endpoint} is ${answer.endpoint.state}`);
    printEndpoints([answer.endpoint]);
  });
}

export function printEndpoints(endpoints: readonly Endpoint[]): void {
  printTable(
    ["endpoint", "state", "model", "traffic", "ready", "requests", "errors", "url"],
    endpoints.flatMap((endpoint) =>
      endpoint.versions.map((version) => [
        endpoint.name,
        endpoint.state,
        `${version.model}@${version.version}`,
        `${Math.round(version.weight * 100)} %`,
        version.ready === undefined ? "?" : version.ready ? "yes" : "no",
        version.requests ?? 0,
        version.errors ?? 0,
        endpoint.url,
      ]),
    ),
  );
}
