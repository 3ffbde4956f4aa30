import type { EspalierError } from "@espalier/core";
import type { CaptureOptions } from "./capture.ts";

const text = { type: "string" } as const;
const texts = { type: "string", multiple: true } as const;
const flag = { type: "boolean" } as const;

/** Flags of capture. */
export const captureFlags = {
  "capture-dir": text,
  "capture-rate": text,
  "capture-score-only": flag,
  "capture-drop": texts,
  "capture-hash": texts,
  "capture-hash-key": text,
  "cloudevents-url": text,
  "cloudevents-source": text,
  "cloudevents-service": text,
  "cloudevents-namespace": text,
  "cloudevents-endpoint": text,
  "sagemaker-capture-dir": text,
  "sagemaker-endpoint": text,
  "sagemaker-variant": text,
} as const;

export const captureUsage = `[--capture-dir FOLDER] [--capture-rate 0..1] [--capture-score-only]
                [--capture-drop FIELD]... [--capture-hash FIELD]... [--capture-hash-key FILE]
                [--cloudevents-url URL] [--cloudevents-source URI] [--cloudevents-service|-namespace|-endpoint NAME]
                [--sagemaker-capture-dir FOLDER] [--sagemaker-endpoint NAME] [--sagemaker-variant NAME]`;

type Texts = "capture-drop" | "capture-hash";
export type CaptureFlagValues = Readonly<
  Partial<
    Record<Exclude<keyof typeof captureFlags, Texts | "capture-score-only">, string> &
      Record<Texts, string[]> & { "capture-score-only": boolean }
  >
>;

/** Absent when nothing is to be captured anywhere. Errors: INVALID_INPUT. */
export function parseCaptureFlags(
  values: CaptureFlagValues,
  {
    number,
    invalid,
  }: { number(name: string, given: string, maximum: number): number; invalid(message: string): EspalierError },
): (CaptureOptions & { rate: number }) | undefined {
  const directory = values["capture-dir"];
  const url = values["cloudevents-url"];
  const sagemaker = values["sagemaker-capture-dir"];
  if (directory === undefined && url === undefined && sagemaker === undefined) return undefined;
  if (url !== undefined && !/^https?:\/\//.test(url))
    throw invalid(`--cloudevents-url must be an http address, got "${url}"`);
  const hashKeyFile = values["capture-hash-key"];
  return {
    rate: number("capture-rate", values["capture-rate"] ?? "0", 1),
    outputs: values["capture-score-only"] !== true,
    redact: values["capture-drop"] ?? [],
    hash: values["capture-hash"] ?? [],
    ...(directory === undefined ? {} : { directory }),
    ...(hashKeyFile === undefined ? {} : { hashKeyFile }),
    ...(url === undefined ? {} : { cloudEvents: { url, ...named(values, cloudEventNames) } }),
    ...(sagemaker === undefined ? {} : { sagemaker: { directory: sagemaker, ...named(values, sagemakerNames) } }),
  };
}

const cloudEventNames = {
  "cloudevents-source": "source",
  "cloudevents-service": "inferenceService",
  "cloudevents-namespace": "namespace",
  "cloudevents-endpoint": "endpoint",
} as const;
const sagemakerNames = { "sagemaker-endpoint": "endpoint", "sagemaker-variant": "variant" } as const;

function named<Option extends string>(
  values: CaptureFlagValues,
  names: Readonly<Partial<Record<keyof CaptureFlagValues, Option>>>,
): Partial<Record<Option, string>> {
  const given: Partial<Record<Option, string>> = {};
  for (const [flagName, option] of Object.entries(names) as [keyof CaptureFlagValues, Option][]) {
    const value = values[flagName];
    if (typeof value === "string") given[option] = value;
  }
  return given;
}
