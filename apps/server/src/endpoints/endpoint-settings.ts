import { type EndpointSpec, parseDurationSeconds, parseSizeBytes, type ServedVersion } from "@espalier/core";
import type { EndpointConfig } from "@espalier/host";
import type { EndpointSettings } from "../deployments/serve.ts";

/** What a reference of `traffic:` means now. One that means nothing yet is left out, and its rule waits. */
type Named = Pick<ServedVersion, "model" | "version">;

/**
 * What a declaration says of everything but the version, as the deployer takes it. With a model, what it leaves out has its default; without,
 * it stays as the `deploy` step gave it. A port that was chosen once stays in both cases.
 */
export function endpointSettings(
  config: EndpointConfig,
  before: EndpointSettings | undefined,
  beside: ReadonlyMap<string, Named> = new Map(),
): EndpointSettings {
  const { capture, limits, replicas, server, traffic } = config;
  const served = serverOf(server ?? {});
  const rate = config.capture_rate ?? capture?.rate;
  const kept = config.model === undefined ? before : undefined;
  const captured = captureOf(capture ?? {});
  const rules = (traffic?.rules ?? []).flatMap(({ model, ...rule }) => {
    const version = beside.get(model)?.version;
    return version === undefined ? [] : [{ ...rule, version }];
  });
  return {
    ...withoutVersions(kept),
    captureRate: rate ?? kept?.captureRate ?? 1,
    port: config.port ?? before?.port ?? 0,
    ...(captured === undefined ? {} : { capture: captured }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(rules.length === 0 ? {} : { rules }),
    ...(traffic?.sticky_header === undefined ? {} : { stickyHeader: traffic.sticky_header }),
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
    ...(served === undefined ? {} : { server: served }),
  };
}

function serverOf({
  batch_rows: maxBatchRows,
  onnx_threads: onnxThreads,
  python,
}: NonNullable<EndpointConfig["server"]>): EndpointSettings["server"] {
  const settings = {
    ...(maxBatchRows === undefined ? {} : { maxBatchRows }),
    ...(onnxThreads === undefined ? {} : { onnxThreads }),
    ...(python?.workers === undefined ? {} : { pythonWorkers: python.workers }),
    ...(python?.timeout === undefined ? {} : { pythonTimeoutSeconds: parseDurationSeconds(python.timeout) }),
    ...(python?.memory === undefined ? {} : { pythonMemoryBytes: parseSizeBytes(python.memory) }),
  };
  return Object.keys(settings).length === 0 ? undefined : settings;
}

/** Versions beside the main one, without weight: those of rules, and the shadow with its share of mirrored requests. */
export function besideVersions<Version extends Named>(
  { traffic }: EndpointConfig,
  beside: ReadonlyMap<string, Version>,
): (Version & { weight: number; mirror?: number })[] {
  const shadow = traffic?.shadow;
  const versions = new Map<string, Version & { weight: number; mirror?: number }>();
  for (const { model } of traffic?.rules ?? []) {
    const version = beside.get(model);
    if (version !== undefined) versions.set(version.version, { ...version, weight: 0 });
  }
  const asked = shadow && beside.get(shadow.model);
  if (asked !== undefined) versions.set(asked.version, { ...asked, weight: 0, mirror: shadow?.share ?? 1 });
  return [...versions.values()];
}

/** The program that serves a declared endpoint's versions, when it is not ours. */
export function runtimeOf({ runtime }: EndpointConfig): ServedVersion["runtime"] {
  if (runtime === undefined) return undefined;
  const { container_port: containerPort, port_variable: portVariable, health_path: healthPath, ...rest } = runtime;
  return {
    ...rest,
    ...(containerPort === undefined ? {} : { containerPort }),
    ...(portVariable === undefined ? {} : { portVariable }),
    ...(healthPath === undefined ? {} : { healthPath }),
  };
}

/** Columns in order of name, so that the same ones are the same settings. */
function captureOf({
  redact = {},
  outputs,
  formats,
}: NonNullable<EndpointConfig["capture"]>): EndpointSettings["capture"] {
  const columns = (how: "drop" | "hash"): string[] =>
    Object.keys(redact)
      .filter((column) => redact[column] === how)
      .sort();
  const [drop, hash] = [columns("drop"), columns("hash")];
  const settings = {
    ...(drop.length === 0 ? {} : { drop }),
    ...(hash.length === 0 ? {} : { hash }),
    ...(outputs === false ? { scoreOnly: true } : {}),
    ...(formats?.cloudevents === undefined ? {} : { cloudEventsUrl: formats.cloudevents.url }),
    ...(formats?.sagemaker === true ? { sagemaker: true } : {}),
  };
  return Object.keys(settings).length === 0 ? undefined : settings;
}

function limitsOf(limits: NonNullable<EndpointConfig["limits"]>): NonNullable<EndpointSpec["limits"]> {
  const { timeout, shadow_concurrency: shadowConcurrency, ...rest } = limits;
  return {
    ...rest,
    ...(timeout === undefined ? {} : { timeoutSeconds: parseDurationSeconds(timeout) }),
    ...(shadowConcurrency === undefined ? {} : { shadowConcurrency }),
  };
}

function withoutVersions(settings: EndpointSettings | undefined): Partial<EndpointSettings> {
  if (settings === undefined) return {};
  const { versions: _, name: __, generation: ___, ...rest } = settings as EndpointSpec;
  return rest;
}
