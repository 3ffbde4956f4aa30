import { digestOfJson, type Json } from "../canonical-json.ts";
import type { StepRow } from "../record/engine-record.ts";
import { logicalDate } from "./order.ts";
import type { RunContext } from "./run-context.ts";
import type { Unit } from "./unit.ts";

const keyVersion = 1;

/**
 * The cache key of a unit and the parts that were hashed. It fails closed: without a key (`cacheKey` absent) the unit runs. The parts of
 * a unit without cache are kept all the same, so that a resumed run can tell whether it would do the same work again.
 */
export function unitKey(context: RunContext, unit: Unit): Pick<StepRow, "cacheKey" | "keyParts"> {
  const { step, builtin } = unit;
  const source = step.source === undefined ? undefined : context.run.snapshots[step.source];
  if (step.source !== undefined && source === undefined) return {};
  const environment = environmentPart(context, unit);
  if (environment === undefined) return {};
  const declared = Object.entries(step.outputs ?? {});
  const portable = builtin
    ? declared.every(([, output]) => output.portable !== false)
    : declared.every(([, o]) => o.portable === true);
  const parts: Record<string, Json> = {
    version: keyVersion,
    program: builtin
      ? { builtin: builtin.name, version: builtin.version, engine: builtin.engine ?? null }
      : { run: step.run ?? null, uses: step.uses ?? null },
    params: unit.params,
    with: step.with ?? {},
    inputs: Object.fromEntries(
      Object.entries(unit.inputs).map(([name, { ref }]) => [name, { type: ref.type, digest: ref.digest }]),
    ),
    outputs: Object.fromEntries(Object.entries(unit.outputs).map(([name, { type }]) => [name, type])),
    ...(source ? { source: source.digest } : {}),
    ...environment,
    // Only a command that reads the date depends on it.
    ...(/\$\{\{\s*run\.date\s*\}\}/.test(step.run ?? "") ? { date: logicalDate(context) } : {}),
    ...(portable && declared.length > 0 ? {} : { platform: context.options.platform }),
  };
  const cacheable = step.cache !== false && (builtin?.cacheable ?? true);
  return cacheable ? { cacheKey: digestOfJson(parts), keyParts: parts } : { keyParts: parts };
}

/** undefined: not known. */
function environmentPart(context: RunContext, unit: Unit): Record<string, Json> | undefined {
  const { environment } = unit.step;
  if (environment === undefined) return {};
  if ("image" in environment) {
    // A tag may move; only a digest says what runs.
    return environment.image.includes("@sha256:") ? { environment: environment.image } : undefined;
  }
  if (!("python" in environment)) return undefined;
  const lock = context.run.snapshots[environment.python];
  return lock ? { environment: lock.digest } : undefined;
}
