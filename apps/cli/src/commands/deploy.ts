import type { Endpoint, EndpointChange, Rollout } from "@espalier/contract";
import { EspalierError, type RolloutSettings, rolloutStrategies, strategyNames } from "@espalier/core";
import type { Command } from "commander";
import { type CommonOptions, projectCommand } from "../project-command.ts";
import { withSession } from "../session.ts";
import { formatInstant, printJson, printLine, printTable } from "../terminal/output.ts";
import { untilServed, whileWaiting } from "../terminal/while-waiting.ts";

interface DeployOptions extends CommonOptions {
  strategy?: string;
  weight?: string;
  steps?: string;
  mirror?: string;
  minRequests?: string;
  minSeconds?: string;
  capture?: string;
  gate?: boolean;
  delete?: boolean;
  history?: boolean;
  rollouts?: boolean;
}

export function command(): Command {
  return projectCommand("deploy", "Serve a registered model version. Without arguments: what is served.")
    .argument("[endpoint]", "the endpoint")
    .argument("[model@version]", "for example flights-delay@3 or flights-delay@challenger")
    .option("--strategy <strategy>", "how it takes over: all (at once, the default), canary, blue-green or shadow")
    .option("--weight <share>", "first share of a canary, 0 to 1")
    .option("--steps <shares>", "all shares of a canary, such as 0.05,0.25,1")
    .option("--mirror <share>", "share of requests that a shadow is asked, 0 to 1")
    .option("--min-requests <count>", "requests that each step must answer")
    .option("--min-seconds <seconds>", "least length of each step")
    .option("--capture <share>", "share of requests to capture, 0 to 1")
    .option("--no-gate", "serve a version without a passed verdict; it is recorded")
    .option("--history", "every change of the endpoint: when, who, what, why")
    .option("--rollouts", "its rollouts, with what was found at each step")
    .option("--delete", "stop serving; the history stays")
    .action(deploy);
}

async function deploy(endpoint: string | undefined, place: string | undefined, options: DeployOptions): Promise<void> {
  refuseIgnored(endpoint, place, options);
  await withSession(options, async (session) => {
    const { client } = session;
    if (endpoint === undefined) {
      const items = await Array.fromAsync(client.all("endpoints.list"));
      if (options.json) return printJson(items);
      if (items.length === 0) return printLine("Nothing is served yet.");
      return printEndpoints(items);
    }
    const params = { name: endpoint };
    if (options.history) {
      const changes = await Array.fromAsync(client.all("endpoints.history", { params }));
      return options.json ? printJson(changes) : printHistory(changes);
    }
    if (options.rollouts) {
      const rollouts = await Array.fromAsync(client.all("endpoints.rollouts", { params }));
      if (options.json) return printJson(rollouts);
      return rollouts.length === 0 ? printLine("There was no rollout yet.") : printRollouts(rollouts);
    }
    if (options.delete) {
      await client.call("endpoints.delete", { params });
      return options.json ? printJson({ deleted: endpoint }) : printLine(`${endpoint} is stopped`);
    }
    if (place === undefined) {
      const one = await client.call("endpoints.get", { params });
      return options.json ? printJson(one) : printEndpoints([one]);
    }
    const body = deployBody(place, options);
    const answer = await whileWaiting(untilServed, client.call("endpoints.deploy", { params, body }));
    if (answer.rollout?.state === "running" && session.endsWithCommand) {
      process.stderr.write("next  the rollout's steps go on under `espalier up`\n");
    }
    if (options.json) return printJson(answer);
    printLine(answer.unchanged ? "unchanged" : `${endpoint} is ${answer.endpoint.state}`);
    if (answer.rollout !== undefined) printLine(answer.rollout.reason ?? answer.rollout.state);
    printEndpoints([answer.endpoint]);
  });
}

/** What would be passed over in silence is not what was meant. */
function refuseIgnored(endpoint: string | undefined, place: string | undefined, options: DeployOptions): void {
  const { strategy = "all" } = options;
  const other = (["delete", "history", "rollouts"] as const).find((option) => options[option] === true);
  const refuse = (at: string, message: string, hint: string): never => {
    throw new EspalierError("INVALID_INPUT", message, { at, hint });
  };
  if (other !== undefined && endpoint === undefined) {
    refuse(`--${other}`, `--${other} is of an endpoint, and none is named`, `espalier deploy <endpoint> --${other}`);
  }
  if (other !== undefined && place !== undefined) {
    refuse(`--${other}`, `--${other} serves no version`, `Leave out ${place}, or --${other}.`);
  }
  for (const [option, owner] of Object.entries({ weight: "canary", steps: "canary", mirror: "shadow" } as const)) {
    if (options[option as "weight" | "steps" | "mirror"] === undefined || strategy === owner) continue;
    refuse(`--${option}`, `--${option} is of a ${owner}, and the strategy is ${strategy}`, `Say --strategy ${owner}.`);
  }
}

function deployBody(place: string, options: DeployOptions) {
  const match = /^([^@]+)@(.+)$/.exec(place);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new EspalierError("INVALID_INPUT", `"${place}" is not model@version`, {
      hint: "Such as flights-delay@3, flights-delay@latest or flights-delay@challenger.",
    });
  }
  const version = /^\d+$/.test(match[2]) || match[2] === "latest" ? match[2] : `@${match[2]}`;
  const rollout = rolloutOptions(options);
  return {
    model: match[1],
    version,
    ...(options.strategy === undefined ? {} : { strategy: strategyName(options.strategy) }),
    ...(options.weight === undefined ? {} : { weight: shareOf("weight", options.weight) }),
    ...(Object.keys(rollout).length === 0 ? {} : { rollout }),
    ...(options.capture === undefined ? {} : { captureRate: shareOf("capture", options.capture) }),
    ...(options.gate === false ? { gate: "none" as const } : {}),
  };
}

function strategyName(text: string): (typeof strategyNames)[number] {
  const known = strategyNames.find((name) => name === text);
  if (known !== undefined) return known;
  throw new EspalierError("INVALID_INPUT", `"${text}" is no strategy`, {
    at: "--strategy",
    hint: `One of ${rolloutStrategies.join(", ")}.`,
  });
}

function rolloutOptions({ steps, mirror, minRequests, minSeconds }: DeployOptions): RolloutSettings {
  return {
    ...(steps === undefined ? {} : { steps: steps.split(",").map((step) => shareOf("steps", step)) }),
    ...(mirror === undefined ? {} : { mirror: shareOf("mirror", mirror) }),
    ...(minRequests === undefined ? {} : { minimum_requests: numberOf("min-requests", minRequests) }),
    ...(minSeconds === undefined ? {} : { minimum_seconds: numberOf("min-seconds", minSeconds) }),
  };
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new EspalierError("INVALID_INPUT", `--${option} takes a number, got "${text}"`, { at: `--${option}` });
}

function shareOf(option: string, text: string): number {
  const value = numberOf(option, text);
  if (value >= 0 && value <= 1) return value;
  throw new EspalierError("INVALID_INPUT", `--${option} takes a share from 0 to 1, got ${text}`, { at: `--${option}` });
}

export function printEndpoints(endpoints: readonly Endpoint[]): void {
  printTable(
    ["endpoint", "state", "model", "traffic", "ready", "requests", "errors", "url"],
    endpoints.flatMap((endpoint) =>
      endpoint.versions.map((version) => [
        endpoint.name,
        endpoint.state,
        `${version.model}@${version.version}`,
        trafficOf(version),
        readyOf(version),
        version.requests ?? 0,
        version.errors ?? 0,
        endpoint.url,
      ]),
    ),
  );
}

function trafficOf({ weight, mirror, keepUntil }: Endpoint["versions"][number]): string {
  if (mirror !== undefined) return `shadow of ${percent(mirror)}`;
  if (keepUntil !== undefined) return `kept until ${formatInstant(keepUntil)}`;
  return percent(weight);
}

function readyOf({ ready, replicas }: Endpoint["versions"][number]): string {
  if (replicas !== undefined && replicas.wanted > 1) return `${replicas.ready} of ${replicas.wanted}`;
  return ready === undefined ? "?" : ready ? "yes" : "no";
}

function printHistory(changes: readonly EndpointChange[]): void {
  printTable(
    ["when", "who", "what", "why"],
    changes.map(({ at, by, versions, reason, runId }) => [
      formatInstant(at),
      by,
      versions.length === 0
        ? "stopped"
        : versions
            .map(({ model, version, ...rest }) => `${model}@${version} ${trafficOf({ model, version, ...rest })}`)
            .join(", "),
      runId === undefined ? reason : `${reason} (run ${runId})`,
    ]),
  );
}

function printRollouts(rollouts: readonly Rollout[]): void {
  for (const rollout of rollouts) {
    printLine(
      `${formatInstant(rollout.startedAt)}  ${rollout.model}@${rollout.toVersion}, ${rollout.strategy}, by ${rollout.startedBy}: ${rollout.state.replace("_", " ")}`,
    );
    for (const step of rollout.steps) {
      printLine(`  at ${percent(step.weight)}: ${step.outcome}, ${step.requests} requests, ${step.errors} failed`);
      for (const check of step.checks) printLine(`    ${check.name}: ${check.outcome}. ${check.reason}`);
    }
    if (rollout.reason !== undefined) printLine(`  ${rollout.reason}`);
  }
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
