import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseProject } from "./project.ts";

const whole = `project: flights
endpoints:
  flights:
    model: models:/flights-delay@champion
    gate: none
    strategy: canary
    rollout: { steps: [0.05, 0.25, 1], minimum_requests: 200, error_margin: 0.02, unready_seconds: 30, when_quiet: promote }
    replicas: 2
    port: 8500
    capture: { rate: 0.2, redact: { passenger: drop, tail_number: hash }, outputs: false, formats: { cloudevents: { url: "http://127.0.0.1:8080" }, sagemaker: true } }
    traffic:
      sticky_header: x-user
      rules:
        - { header: x-beta, value: "1", model: "flights-delay@challenger" }
        - { keys: [ana, ben], model: models:/flights-delay/3 }
      shadow: { model: "models:/flights-delay@challenger", share: 0.1 }
    limits: { concurrency: 64, queue: 100, timeout: 5s, shadow_concurrency: 4 }
    monitors: [inputs]
  text:
    model: chat/1
    runtime: { command: [vllm, serve, "{model}", --port, "{port}"], health_path: /health, paths: [/v1] }
  simple: { capture_rate: 1 }
monitors:
  inputs: { kind: drift, thresholds: { psi: 0.2 } }
`;

test("everything that can be declared, and a monitor that takes its endpoint from there", () => {
  const { faults, config } = parseProject(whole);
  expect(faults).toEqual([]);
  expect(config?.monitors?.["inputs"]?.endpoint).toBe("flights");
  expect(config?.endpoints?.["simple"]).toEqual({ capture_rate: 1 });
});

const of = (endpoint: string, more = ""): string => `project: a\nendpoints:\n  flights:\n    ${endpoint}\n${more}`;

test.each([
  ["an unknown key", of("modl: m@champion"), "4:5", "unknown key `modl`", "Did you mean `model`?"],
  [
    "a model without version or alias",
    of("model: flights-delay"),
    "4:5",
    '`endpoints.flights.model` is the text "flights-delay": write `models:/name@alias` or `models:/name/3`',
    undefined,
  ],
  [
    "no whole number of replicas",
    of("replicas: 0"),
    "4:5",
    expect.stringContaining("`endpoints.flights.replicas` is 0"),
    undefined,
  ],
  [
    "another word for redaction",
    of("capture: { redact: { name: mask } }"),
    "4:26",
    '`endpoints.flights.capture.redact.name` must be drop or hash, and is the text "mask"',
    expect.any(String),
  ],
  [
    "a rate said twice",
    of("{ capture_rate: 1, capture: { rate: 0.5 } }"),
    "4:7",
    "`endpoints.flights` says `capture_rate` and `capture.rate`",
    "Keep one of them.",
  ],
  [
    "a strategy of no model",
    of("strategy: canary"),
    "4:5",
    "`endpoints.flights.strategy` says how a version is served, and the endpoint names no model",
    expect.stringContaining("models:/name@alias"),
  ],
  [
    "steps that do not grow",
    of("{ model: m/1, strategy: canary, rollout: { steps: [0.5, 0.2, 1] } }"),
    "4:48",
    expect.stringContaining("`endpoints.flights.rollout.steps` is"),
    undefined,
  ],
  [
    "steps of no canary",
    of("{ model: m/1, rollout: { steps: [0.5, 1] } }"),
    "4:30",
    "`endpoints.flights.rollout.steps` are those of a canary, and the strategy is all",
    expect.any(String),
  ],
  [
    "a monitor that is not there",
    of("monitors: [inputs, latency]", "monitors:\n  inputs: { endpoint: flights, kind: drift }\n"),
    "4:24",
    "there is no monitor `latency`",
    "Known monitors: inputs.",
  ],
  [
    "a monitor of another endpoint",
    of("monitors: [inputs]", "  other: {}\nmonitors:\n  inputs: { endpoint: other, kind: drift }\n"),
    "4:16",
    "the monitor `inputs` watches the endpoint other, not flights",
    expect.any(String),
  ],
  [
    "a shadow of another model",
    of("{ model: m/1, traffic: { shadow: { model: n/1 } } }"),
    "4:40",
    "the endpoint flights serves m, and this is a version of n",
    expect.any(String),
  ],
  [
    "a runtime without a program",
    of("{ model: m/1, runtime: { paths: [/v1] } }"),
    "4:19",
    expect.stringContaining("neither"),
    expect.any(String),
  ],
  [
    "a request that may take a day",
    of("limits: { timeout: 1d }"),
    "4:15",
    "`endpoints.flights.limits.timeout` must be more than nothing and at most 1h, and is 1d",
    undefined,
  ],
  [
    "one port for two",
    of("port: 8500", "  other: { port: 8500 }\n"),
    "5:12",
    "the endpoints flights and other have one port, 8500",
    undefined,
  ],
])("%s is told with its place", (_what, text, place, message, hint) => {
  const { faults } = parseProject(text);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatchObject({ code: "INVALID_CONFIG", at: `espalier.yaml:${place}`, message });
  if (hint !== undefined) expect(faults[0]?.hint).toEqual(hint);
});

test("a monitor watches one endpoint, which somebody says", () => {
  const monitor = "monitors: { inputs: { kind: drift } }\n";
  expect(parseProject(`project: a\n${monitor}`).faults).toMatchObject([
    { at: "espalier.yaml:2:13", message: "`monitors.inputs.endpoint` is missing" },
  ]);
  const two = "endpoints: { one: { monitors: [inputs] }, two: { monitors: [inputs] } }\n";
  expect(parseProject(`project: a\n${monitor}${two}`).faults).toMatchObject([
    { message: "the monitor `inputs` is named by the endpoints one and two, and watches one" },
  ]);
});

test("the guide's declaration is one", () => {
  const guide = readFileSync(new URL("../../../docs/serving.md", import.meta.url), "utf8");
  const [, text] = /^```yaml endpoints\n([\s\S]*?)^```$/m.exec(guide) ?? [];
  expect(parseProject(`project: flights\n${text}`).faults).toEqual([]);
});
