import { toEspalierError } from "../errors.ts";
import { cacheKey, environmentDigest } from "../ir/cache-key.ts";
import type { StepRow } from "../record/engine-record.ts";
import { logicalDate } from "./order.ts";
import type { RunContext } from "./run-context.ts";
import type { Unit } from "./unit.ts";

/**
 * The cache key of a unit and the parts that were hashed. It fails closed: without a key the unit runs. The parts of a unit without
 * cache are kept all the same, so that a resumed run can tell whether it would do the same work again.
 */
export function unitKey(context: RunContext, unit: Unit): Pick<StepRow, "cacheKey" | "keyParts"> {
  const { step, builtin, row } = unit;
  try {
    const source = step.source === undefined ? undefined : context.run.snapshots[step.source]?.digest;
    const environment = environmentDigest(step, context.run.snapshots);
    const { key, parts } = cacheKey({
      step,
      ...(builtin ? { builtin } : {}),
      params: unit.params,
      inputs: Object.fromEntries(
        Object.keys(step.inputs ?? {}).map((name) => [name, unit.inputs[name]?.ref.digest ?? null]),
      ),
      ...(source === undefined ? {} : { source }),
      ...(environment === undefined ? {} : { environment }),
      platform: context.options.platform,
      runDate: logicalDate(context),
    });
    const cacheable = step.cache !== false && (builtin?.cacheable ?? true);
    return cacheable ? { cacheKey: key, keyParts: parts } : { keyParts: parts };
  } catch (error) {
    const doing = `making the cache key of ${row.step}: ${toEspalierError(error).message}; it runs`;
    context.options.onError(error, { runId: context.run.id, doing });
    return {};
  }
}
