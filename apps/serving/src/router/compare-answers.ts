/** How far two versions' answers to one request agree, row by row. */
export interface Agreement {
  compared: number;
  agreed: number;
  /** Rows whose predictions are numbers; sum and largest of their differences. */
  numbers: number;
  differenceSum: number;
  differenceLargest: number;
}

/** Numbers that differ by at most this agree: a hundredth of a probability changes no decision that is worth a report. */
const tolerance = 0.01;
/** Parsing larger answers would hold up requests of callers. */
const largestBytes = 1024 * 1024;

/** undefined when the answers can not be compared: too large, not JSON (then only equal bytes tell), or of different length. */
export function compareAnswers(one: Buffer, other: Buffer): Agreement | undefined {
  if (one.length > largestBytes || other.length > largestBytes) return undefined;
  const [left, right] = [predictionsOf(one), predictionsOf(other)];
  if (left === undefined || right === undefined) {
    return { compared: 1, agreed: one.equals(other) ? 1 : 0, numbers: 0, differenceSum: 0, differenceLargest: 0 };
  }
  if (left.length !== right.length) return undefined;
  const agreement: Agreement = { compared: left.length, agreed: 0, numbers: 0, differenceSum: 0, differenceLargest: 0 };
  for (const [index, row] of left.entries()) {
    const difference = differenceOf(row, right[index]);
    if (difference === undefined) {
      if (JSON.stringify(row) === JSON.stringify(right[index])) agreement.agreed++;
      continue;
    }
    agreement.numbers++;
    agreement.differenceSum += difference;
    agreement.differenceLargest = Math.max(agreement.differenceLargest, difference);
    if (difference <= tolerance) agreement.agreed++;
  }
  return agreement;
}

/** One value a row: of `predictions` (V1, MLflow), or of the outputs of V2 side by side. */
function predictionsOf(body: Buffer): unknown[] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    // Binary tensors, or a format of the user's program: the caller compares bytes.
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { predictions, outputs } = json as { predictions?: unknown; outputs?: unknown };
  if (Array.isArray(predictions)) return predictions;
  if (!Array.isArray(outputs)) return undefined;
  const columns = outputs.map(rowsOfTensor);
  const [first] = columns;
  if (first === undefined || columns.some((column) => column?.length !== first.length)) return undefined;
  return first.map((_, row) => columns.flatMap((column) => column?.[row] ?? []));
}

function rowsOfTensor(output: { shape?: unknown; data?: unknown }): unknown[][] | undefined {
  const { shape, data } = output;
  if (!Array.isArray(shape) || !Array.isArray(data)) return undefined;
  const rows = Number(shape[0] ?? 1);
  const flat = data.flat(16) as unknown[];
  if (!Number.isInteger(rows) || rows <= 0 || flat.length % rows !== 0) return undefined;
  const width = flat.length / rows;
  return Array.from({ length: rows }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

/** Largest difference of numbers at the same place; undefined where anything else than numbers stands. */
function differenceOf(one: unknown, other: unknown): number | undefined {
  if (typeof one === "number" && typeof other === "number") return Math.abs(one - other);
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return undefined;
  const keys = Object.keys(one);
  if (keys.length === 0 || keys.length !== Object.keys(other).length) return undefined;
  let largest = 0;
  for (const key of keys) {
    const difference = differenceOf((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]);
    if (difference === undefined) return undefined;
    largest = Math.max(largest, difference);
  }
  return largest;
}
