import { EspalierError, type InputColumn, type ModelSignature } from "@espalier/core";
import { identifier } from "@espalier/quality";
import type { FeedType } from "../onnx-session-client.ts";
import type { Column } from "../steps/tables.ts";
import type { FeedLayout } from "./feed-layout.ts";

/** A column of the model, as it is read from the data and what its values must be. */
export interface SourceColumn {
  name: string;
  /** Gives FLOAT, DOUBLE, BIGINT, UTINYINT or VARCHAR. */
  sql: string;
  mayBeMissing: boolean;
  /** Set where the data's type does not promise it already. */
  isWhole: boolean;
  /** Largest magnitude; infinite where the data's type keeps it. */
  limit: number;
}

const integers = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;
const smallIntegers = /^(U?(TINY|SMALL)INT|INTEGER)$/;
const numbers = /^(BOOLEAN|DOUBLE|FLOAT|DECIMAL.*)$/;
const texts = /^(VARCHAR|ENUM.*|UUID)$/;
const instants = /^(DATE|TIMESTAMP.*)$/;

/** The signature's columns in this table. SIGNATURE_MISMATCH names every one that is missing or of another type. `file`: for messages. */
export function sourceColumns(
  signature: ModelSignature,
  layout: readonly FeedLayout[],
  table: readonly Column[],
  file: string,
): SourceColumn[] {
  const types = new Map(table.map((column) => [column.name, column.type]));
  const faults: string[] = [];
  const columns = signature.inputs.map((input, index) => {
    const type = types.get(input.name);
    const feed = layout.find(({ columns }) => columns.includes(index));
    if (type === undefined) faults.push(`\`${input.name}\` is missing`);
    else if (!fits(input, type)) faults.push(`\`${input.name}\` is ${type}, the model takes ${input.type}`);
    return sourceColumn(input, type ?? "", feed?.type ?? "float32");
  });
  if (faults.length === 0) return columns;
  throw new EspalierError("SIGNATURE_MISMATCH", `${file} does not fit the model's signature: ${faults.join("; ")}`, {
    at: "inputs.data",
    hint: `Its columns are: ${table.map((column) => `${column.name} ${column.type}`).join(", ")}.`,
    details: { faults },
  });
}

function fits(input: InputColumn, type: string): boolean {
  if (input.type === "string") return texts.test(type);
  if (input.type === "datetime") return instants.test(type);
  return integers.test(type) || numbers.test(type);
}

function sourceColumn(input: InputColumn, type: string, feed: FeedType): SourceColumn {
  const wantsWhole = input.type === "integer" || input.type === "long" || feed === "int64" || feed === "int32";
  const isWhole = wantsWhole && !integers.test(type) && type !== "BOOLEAN" && input.type !== "datetime";
  const is32 = (input.type === "integer" || feed === "int32") && !smallIntegers.test(type) && type !== "BOOLEAN";
  return {
    name: input.name,
    sql: sourceSql(identifier(input.name), input, type, feed),
    mayBeMissing: input.nullable === true,
    isWhole,
    limit: is32 ? 0x7fffffff : Number.POSITIVE_INFINITY,
  };
}

function sourceSql(name: string, input: InputColumn, type: string, feed: FeedType): string {
  if (feed === "string") return `CAST(${name} AS VARCHAR)`;
  if (input.type === "datetime") return `epoch_ms(CAST(${name} AS TIMESTAMP))`;
  if (feed === "int64" && integers.test(type)) return `CAST(${name} AS BIGINT)`;
  // A FLOAT or DOUBLE comes as it is and is rounded as a model server rounds the number of a request.
  return type === "FLOAT" || type === "DOUBLE" ? name : `CAST(${name} AS DOUBLE)`;
}
