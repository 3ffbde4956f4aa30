import type { RunSpan, ToolHost, ToolManifest, TraceMirror } from "@espalier/core";
import { z } from "zod";
import { connectTelemetry, refusalOf, telemetryShape } from "./telemetry-client.ts";

export const otlpConfigSchema = z.strictObject({
  ...telemetryShape,
  url: telemetryShape.url.describe("Address of the collector, `/v1/traces` is added: http://127.0.0.1:4318."),
  service_name: z.string().min(1).default("espalier").describe("`service.name` of the spans."),
});
export type OtlpConfig = z.infer<typeof otlpConfigSchema>;

export const otlpManifest: ToolManifest = {
  tool: "otlp",
  provider: "open-source",
  component: "traces",
  milestone: 12,
  summary: "Runs, steps and attempts as OpenTelemetry traces, by OTLP over HTTP to any collector",
  capabilities: ["mirror"],
  skills: ["linux"],
  ownership: {
    place: "own servers",
    setUpHours: [1, 6],
    hoursAMonth: [0, 3],
    dollarsAMonth: [20, 80],
    lockIn: 0,
    wayOut: "a mirror: the record stays here, and the protocol is a standard's",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  cost: { money: "a server and its storage", operations: "one collector, and what keeps the traces" },
  verified: { label: "real", against: "OpenTelemetry Collector 0.165.0", live: "not applicable" },
  losses: [
    "a span is sent when its step, or run, has ended: what runs is not seen",
    "of a step with more than 1,000 branches the rest has no span",
    "spans that a step's own script makes are traces of their own",
    "a span that is sent again, as after a restart, is equal to the first; a backend may show it twice",
  ],
};

/** Of one request: a collector takes 4 MiB and more. */
const spansAtOnce = 500;
const internal = 1;
const statusOf = { unset: 0, ok: 1, error: 2 } as const;

const answerSchema = z.looseObject({
  partialSuccess: z
    .looseObject({ rejectedSpans: z.union([z.string(), z.number()]).optional(), errorMessage: z.string().optional() })
    .optional(),
});

/** OTLP 1 over HTTP in JSON (opentelemetry.io/docs/specs/otlp). */
export function createOtlpTraceMirror(config: OtlpConfig, host: Pick<ToolHost, "secret" | "project">): TraceMirror {
  const post = connectTelemetry(`${config.url.replace(/\/+$/, "")}/v1/traces`, config, "traces", host);
  const resource = {
    attributes: attributesOf({ "service.name": config.service_name, "service.namespace": host.project }),
  };
  return {
    async tell(spans, context) {
      const refused: string[] = [];
      for (let start = 0; start < spans.length; start += spansAtOnce) {
        const some = spans.slice(start, start + spansAtOnce);
        const document = {
          resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "espalier" }, spans: some.map(spanJson) }] }],
        };
        try {
          const { partialSuccess } = answerSchema.safeParse(await post(JSON.stringify(document), context)).data ?? {};
          const { rejectedSpans = 0, errorMessage = "" } = partialSuccess ?? {};
          if (Number(rejectedSpans) > 0) refused.push(`${rejectedSpans} of ${some.length} spans: ${errorMessage}`);
        } catch (error) {
          refused.push(`${some.length} spans: ${refusalOf(error)}`);
        }
      }
      return { refused };
    },
  };
}

function spanJson({
  traceId,
  spanId,
  parentSpanId,
  name,
  startedAt,
  finishedAt,
  attributes,
  link,
  outcome,
  message,
}: RunSpan) {
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: internal,
    startTimeUnixNano: nanoseconds(startedAt),
    endTimeUnixNano: nanoseconds(finishedAt),
    attributes: attributesOf(attributes),
    ...(link === undefined ? {} : { links: [link] }),
    status: { code: statusOf[outcome], ...(message === undefined ? {} : { message }) },
  };
}

/** 64-bit integers are texts in OTLP's JSON. */
const nanoseconds = (milliseconds: number): string => `${Math.round(milliseconds)}000000`;

const attributesOf = (attributes: RunSpan["attributes"]) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) }));

function otlpValue(value: string | number | boolean) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
