import { didYouMean, type Fault, jsonPointer, parseDurationSeconds } from "@espalier/core";
import type { EndpointConfig } from "./endpoint-schema.ts";
import type { MonitorDeclaration } from "./monitor-schema.ts";

interface Declared {
  endpoints?: Readonly<Record<string, EndpointConfig>> | undefined;
  monitors?: Readonly<Record<string, MonitorDeclaration>> | undefined;
}

type Check = (declared: Declared, name: string, endpoint: EndpointConfig) => Fault[];

/** What a schema can not say of `endpoints:`. */
export function endpointFaults(declared: Declared): Fault[] {
  const endpoints = Object.entries(declared.endpoints ?? {});
  const checks = [
    rolloutNeedsModel,
    stepsOfCanary,
    oneCaptureRate,
    monitorsExist,
    besideIsSameModel,
    runtimeRuns,
    timeoutIsSane,
    portIsFree,
  ];
  return endpoints.flatMap(([name, endpoint]) => checks.flatMap((check) => check(declared, name, endpoint)));
}

function fault(check: string, path: readonly string[], message: string, hint?: string): Fault {
  const pointer = jsonPointer(["endpoints", ...path]);
  return { code: "INVALID_CONFIG", check, message, pointer, ...(hint === undefined ? {} : { hint }) };
}

const rolloutNeedsModel: Check = (_, name, endpoint) =>
  endpoint.model !== undefined
    ? []
    : (["gate", "strategy", "rollout"] as const)
        .filter((key) => endpoint[key] !== undefined)
        .map((key) =>
          fault(
            "endpoint-model",
            [name, key],
            `\`endpoints.${name}.${key}\` says how a version is served, and the endpoint names no model`,
            "Add `model: models:/name@alias`; an endpoint that a `deploy` step makes takes its strategy from that step.",
          ),
        );

const stepsOfCanary: Check = (_, name, { strategy = "all", rollout }) => {
  if (rollout?.steps === undefined || strategy === "canary") return [];
  const message = `\`endpoints.${name}.rollout.steps\` are those of a canary, and the strategy is ${strategy}`;
  return [fault("rollout-steps", [name, "rollout", "steps"], message, "Say `strategy: canary`.")];
};

const oneCaptureRate: Check = (_, name, endpoint) =>
  endpoint.capture_rate === undefined || endpoint.capture?.rate === undefined
    ? []
    : [
        fault(
          "capture-rate",
          [name, "capture_rate"],
          `\`endpoints.${name}\` says \`capture_rate\` and \`capture.rate\``,
          "Keep one of them.",
        ),
      ];

const monitorsExist: Check = ({ monitors = {} }, name, endpoint) =>
  (endpoint.monitors ?? []).flatMap((monitor, index) => {
    const path = [name, "monitors", String(index)];
    const found = Object.hasOwn(monitors, monitor) ? monitors[monitor] : undefined;
    if (found === undefined) {
      const hint = didYouMean(monitor, Object.keys(monitors), "monitors");
      return [fault("endpoint-monitor", path, `there is no monitor \`${monitor}\``, hint)];
    }
    if (found.endpoint === undefined || found.endpoint === name) return [];
    const message = `the monitor \`${monitor}\` watches the endpoint ${found.endpoint}, not ${name}`;
    return [fault("endpoint-monitor", path, message, "A monitor watches one endpoint.")];
  });

const besideIsSameModel: Check = (_, name, { model, traffic }) => {
  const beside = [
    ...(traffic?.rules ?? []).map((rule, index) => ({ model: rule.model, path: ["rules", String(index), "model"] })),
    ...(traffic?.shadow === undefined ? [] : [{ model: traffic.shadow.model, path: ["shadow", "model"] }]),
  ];
  return beside
    .filter((one) => modelOf(one.model) !== modelOf(model ?? ""))
    .map((one) =>
      fault(
        "endpoint-beside",
        [name, "traffic", ...one.path],
        model === undefined
          ? `\`endpoints.${name}.traffic\` names a version, and the endpoint names no model`
          : `the endpoint ${name} serves ${modelOf(model)}, and this is a version of ${modelOf(one.model)}`,
        "Versions of one endpoint are of one model.",
      ),
    );
};

const modelOf = (reference: string): string => /^(?:models:\/)?([^/:@]*)/.exec(reference)?.[1] ?? "";

const runtimeRuns: Check = (_, name, { runtime }) =>
  runtime === undefined || runtime.command !== undefined || runtime.image !== undefined
    ? []
    : [
        fault(
          "endpoint-runtime",
          [name, "runtime"],
          `\`endpoints.${name}.runtime\` says neither \`command\` nor \`image\``,
          'Such as `command: [vllm, serve, "{model}", --port, "{port}"]`.',
        ),
      ];

const timeoutIsSane: Check = (_, name, { limits }) => {
  if (limits?.timeout === undefined) return [];
  const seconds = parseDurationSeconds(limits.timeout);
  if (seconds > 0 && seconds <= 3600) return [];
  const message = `\`endpoints.${name}.limits.timeout\` must be more than nothing and at most 1h, and is ${limits.timeout}`;
  return [fault("endpoint-timeout", [name, "limits", "timeout"], message)];
};

const portIsFree: Check = ({ endpoints = {} }, name, { port }) => {
  if (port === undefined || port === 0) return [];
  const other = Object.keys(endpoints).find((one) => endpoints[one]?.port === port);
  if (other === undefined || other === name) return [];
  return [fault("endpoint-port", [name, "port"], `the endpoints ${other} and ${name} have one port, ${port}`)];
};
