import { badRequest, shortened } from "../../http/request-error.ts";
import { show } from "../../model/cells.ts";
import { integerRange } from "./datatypes.ts";
import type { TensorData } from "./raw-tensor.ts";

/** An input as HTTP and gRPC give it, its elements flat and row-major, as many as the shape says. */
export interface V2Tensor {
  name: string;
  /** The rows come first. */
  shape: readonly number[];
  datatype: string;
  data: TensorData;
}

/** No model has more; a list of a million dimensions is an attack and not a shape. */
const maxDimensions = 16;

/** Name, shape and datatype of `inputs[index]`. Errors: INVALID_INPUT. */
export function checkedHead(input: unknown, index: number): Omit<V2Tensor, "data"> {
  if (typeof input !== "object" || input === null) throw badRequest(`inputs[${index}] is not an object`);
  const { name, shape, datatype } = input as Record<string, unknown>;
  if (typeof name !== "string") throw badRequest(`inputs[${index}] has no "name"`);
  if (!isShape(shape)) {
    throw badRequest(`input "${shortened(name)}": "shape" must be a list of 1 to ${maxDimensions} sizes`, name);
  }
  if (typeof datatype !== "string") throw badRequest(`input "${shortened(name)}" has no "datatype"`, name);
  return { name, shape, datatype };
}

function isShape(shape: unknown): shape is number[] {
  if (!Array.isArray(shape) || shape.length === 0 || shape.length > maxDimensions) return false;
  return shape.every((size) => Number.isSafeInteger(size) && size >= 0);
}

export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** Elements given as JSON, flat or nested by the shape. Errors: INVALID_INPUT for ragged rows and counts that do not fit. */
export function jsonElements(head: Omit<V2Tensor, "data">, data: unknown): unknown[] {
  const { name, shape, datatype } = head;
  if (!Array.isArray(data)) throw badRequest(`input "${shortened(name)}": "data" must be a list`, name);
  const flat = Array.isArray(data[0]) ? flatten(data, shape, name) : data;
  const count = elementCount(shape);
  if (flat.length !== count) {
    throw badRequest(`input "${shortened(name)}": shape [${shape}] needs ${count} values, got ${flat.length}`, name);
  }
  const range = integerRange[datatype];
  if (range !== undefined) checkRange(head, flat, range);
  return flat;
}

/** Nested data must be nested exactly by its shape; a ragged row is named by its place. */
function flatten(data: unknown[], shape: readonly number[], name: string): unknown[] {
  let level = data;
  shape.slice(1).forEach((size, depth) => {
    const next: unknown[] = [];
    level.forEach((part, index) => {
      if (!Array.isArray(part) || part.length !== size) {
        const got = Array.isArray(part) ? `${part.length} values` : "no list";
        throw badRequest(
          `input "${shortened(name)}": dimension ${depth + 1}, row ${index}: expected ${size} values, got ${got}`,
          name,
        );
      }
      for (const value of part) next.push(value);
    });
    level = next;
  });
  return level;
}

/** Null and text are left to the column's check, which names column and row. */
function checkRange(head: Omit<V2Tensor, "data">, data: readonly unknown[], range: readonly [bigint, bigint]): void {
  const [minimum, maximum] = range;
  for (const value of data) {
    if (typeof value === "bigint" ? value >= minimum && value <= maximum : typeof value !== "number") continue;
    if (typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= maximum) continue;
    const { name, datatype } = head;
    throw badRequest(`input "${shortened(name)}": ${show(value)} is not a value of ${datatype}`, name);
  }
}
