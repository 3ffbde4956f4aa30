import { badRequest } from "../http/request-error.ts";

/** A value for a message: never longer than a line, however large or deep what was sent is. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (Array.isArray(value)) return value.length === 1 ? "a list of 1 value" : `a list of ${value.length} values`;
  if (typeof value === "object" && value !== null) return "an object";
  // Numbers have few letters; a bigint may have any number of digits.
  return typeof value === "bigint" && (value > 10n ** 40n || value < -(10n ** 40n)) ? "a huge integer" : String(value);
}

/**
 * The elements of one cell of a column that has a shape, row-major: given flat, or nested exactly by the shape.
 * Errors: INVALID_INPUT naming column and row.
 */
export function cellElements(name: string, shape: readonly number[], cell: unknown, row: number): ArrayLike<unknown> {
  const size = shape.reduce((product, next) => product * next, 1);
  const fail = (got: string): never => {
    throw badRequest(`column "${name}", row ${row}: expected values of shape [${shape}], got ${got}`, name);
  };
  if (ArrayBuffer.isView(cell))
    return (cell as Float32Array).length === size ? (cell as Float32Array) : fail(show(cell));
  if (!Array.isArray(cell)) return size === 1 && shape.length === 0 ? [cell] : fail(show(cell));
  if (!Array.isArray(cell[0])) return cell.length === size ? cell : fail(show(cell));
  let level: unknown[] = cell;
  shape.forEach((length, depth) => {
    const isLast = depth === shape.length - 1;
    const expected = shape.slice(0, depth + 1).reduce((product, next) => product * next, 1);
    if (level.length !== expected) fail(`${level.length} values in dimension ${depth}, not ${length}`);
    if (isLast) return;
    const next: unknown[] = [];
    for (const part of level) {
      if (!Array.isArray(part) || part.length !== shape[depth + 1]) fail(`${show(part)} in dimension ${depth + 1}`);
      for (const value of part as unknown[]) next.push(value);
    }
    level = next;
  });
  return level;
}
