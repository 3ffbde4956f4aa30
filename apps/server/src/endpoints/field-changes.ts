import { canonicalJson, type EndpointSpec, type Json, type ServedVersion } from "@espalier/core";
import type { EndpointSettings } from "../deployments/serve.ts";

/** One setting that would change; null: not set. */
export interface FieldChange {
  field: string;
  from: Json;
  to: Json;
}

/** What an endpoint is told beside its version. */
export interface WantedSettings {
  settings: EndpointSettings;
  /** Served without weight, for rules and as a shadow. */
  beside: readonly Beside[];
  /** undefined: the built-in server. */
  runtime: ServedVersion["runtime"];
}

type Beside = Pick<ServedVersion, "model" | "version" | "mirror">;

/** What differs from the spec in force, by the names that espalier.yaml has for it. */
export function fieldChanges(current: EndpointSpec, { settings, beside, runtime }: WantedSettings): FieldChange[] {
  const shadow = (versions: readonly Beside[]) =>
    shownVersions(versions.filter((version) => (version.mirror ?? 0) > 0));
  const main = current.versions.find((version) => version.weight > 0);
  const idle = current.versions.filter((version) => version.weight === 0 && version.keepUntil === undefined);
  const pairs: [string, unknown, unknown][] = [
    ["replicas", current.replicas ?? 1, settings.replicas ?? 1],
    ["port", current.port, settings.port],
    ["capture.rate", current.captureRate, settings.captureRate],
    ["capture.redact", redacted(current.capture), redacted(settings.capture)],
    ["capture.outputs", !(current.capture?.scoreOnly ?? false), !(settings.capture?.scoreOnly ?? false)],
    ["capture.formats.cloudevents", current.capture?.cloudEventsUrl, settings.capture?.cloudEventsUrl],
    ["capture.formats.sagemaker", current.capture?.sagemaker ?? false, settings.capture?.sagemaker ?? false],
    ["traffic.sticky_header", current.stickyHeader, settings.stickyHeader],
    ["traffic.rules", shownRules(current.rules), shownRules(settings.rules)],
    ["traffic.shadow", shadow(idle), shadow(notMain(beside, current))],
    ["limits", current.limits, settings.limits],
    ["server", current.server, settings.server],
    ["runtime", main?.runtime, runtime],
  ];
  return pairs.flatMap(([field, from, to]) => {
    const [before, after] = [asJson(from), asJson(to)];
    return canonicalJson(before) === canonicalJson(after) ? [] : [{ field, from: before, to: after }];
  });
}

/** As it is declared: column by column. */
function redacted({ drop = [], hash = [] }: NonNullable<EndpointSettings["capture"]> = {}): unknown {
  const columns = [...drop.map((column) => [column, "drop"]), ...hash.map((column) => [column, "hash"])];
  return columns.length === 0 ? null : Object.fromEntries(columns);
}

/** The version that has the traffic is no shadow of itself. */
const notMain = (beside: readonly Beside[], { versions }: EndpointSpec): readonly Beside[] =>
  beside.filter(
    (one) =>
      !versions.some(({ model, version, weight }) => weight > 0 && model === one.model && version === one.version),
  );

/** A rule's version may be the one that the endpoint serves anyway, so the rules alone say which are loaded beside it. */
const shownRules = (rules: EndpointSpec["rules"]): unknown =>
  rules === undefined || rules.length === 0 ? null : rules;

const shownVersions = (versions: readonly Beside[]): unknown =>
  versions.length === 0
    ? null
    : versions.map(({ model, version, mirror }) => ({ version: `${model}@${version}`, share: mirror ?? 0 }));

const asJson = (value: unknown): Json => (value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json));
