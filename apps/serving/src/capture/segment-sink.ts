import { join } from "node:path";
import { type CaptureLine, type ModelSignature, scoreOutput, scoresOf, ulid } from "@espalier/core";
import type { ModelOutput } from "../model/model.ts";
import type { CapturedExchange, CaptureSink } from "./captured-exchange.ts";
import { createLineFiles, type LineFilesOptions } from "./line-files.ts";
import { type RedactionOptions, type WrittenField, writtenField } from "./redaction.ts";

export interface SegmentSinkOptions extends Pick<LineFilesOptions, "directory" | "openFile"> {
  model: { name: string; version: string; signature: ModelSignature };
  redaction: RedactionOptions;
  /** false: the score alone. */
  outputs: boolean;
  maxSegmentBytes: number;
  maxSegmentSeconds: number;
  maxBufferBytes: number;
}

/**
 * Segments for the control plane: inputs, outputs and score by column. The name of an open one holds the process id, so that a reader can
 * tell a segment that a killed process left behind from one that is being written.
 */
export function createSegmentSink(options: SegmentSinkOptions): CaptureSink {
  const { directory, redaction } = options;
  const { name, version, signature } = options.model;
  const inputs = signature.inputs.map((column) => writtenField(column, redaction));
  const outputs = options.outputs ? signature.outputs.map((output) => outputField(output, redaction)) : [];
  const score = scoreOutput(signature);
  const isScoreRedacted = [...(redaction.drop ?? []), ...(redaction.hash ?? [])].includes(score.name);
  const scoreType = signature.outputs.find((output) => output.name === score.name)?.type;
  const header = ({ cell, ...field }: WrittenField) => field;
  const files = createLineFiles({
    ...options,
    header: JSON.stringify({
      capture: 1,
      model: name,
      version,
      inputs: inputs.map(header),
      ...(outputs.length === 0 ? {} : { outputs: outputs.map(header) }),
      scoreType: scoreType === "string" ? "string" : "number",
    }),
    maxFileBytes: options.maxSegmentBytes,
    maxFileSeconds: options.maxSegmentSeconds,
    nextFile() {
      const stem = join(directory, `${ulid()}-${process.pid}`);
      return { openPath: `${stem}.open.jsonl`, closedPath: `${stem}.jsonl` };
    },
  });

  function lineOf({ id, eventTime, servedAt, table, outputs: given }: CapturedExchange): CaptureLine {
    const { rows, values } = table;
    const width = inputs.length;
    const none = () => new Array<null>(rows).fill(null);
    const line: CaptureLine = {
      id,
      rows,
      eventTime,
      servedAt,
      score: isScoreRedacted ? none() : scoresOf(signature, given, rows),
    };
    for (const [column, { cell }] of inputs.entries()) {
      const cells: unknown[] = new Array(rows);
      for (let row = 0; row < rows; row++) cells[row] = cell(values[row * width + column]);
      line[`c${column}`] = cells;
    }
    for (const [index, field] of outputs.entries()) {
      const output = given.find((candidate) => candidate.name === field.name);
      line[`o${index}`] = output === undefined ? none() : outputCells(field, output, rows);
    }
    return line;
  }

  return {
    add: (exchange) => files.add(JSON.stringify(lineOf(exchange)), exchange.table.rows),
    flush: files.flush,
    close: files.close,
    counts: files.counts,
  };
}

/** One value a row when the signature says so; else a list, since a graph may answer more than is written in its signature. */
function outputField(output: ModelSignature["outputs"][number], redaction: RedactionOptions): WrittenField {
  const { name, type, shape = [-1] } = output;
  const isScalar = shape.every((size) => size === 1);
  return writtenField(isScalar ? { name, type } : { name, type, shape }, redaction);
}

function outputCells({ shape, redacted, cell }: WrittenField, output: ModelOutput, rows: number): unknown[] {
  const { data, type } = output;
  const width = data.length / rows;
  const value = (at: number): unknown => (type === "bool" ? Boolean(data[at]) : data[at]);
  return Array.from({ length: rows }, (_, row) => {
    // A list where one value was promised would make the whole segment unreadable.
    if (shape === undefined && width === 1) return cell(value(row));
    const values = Array.from({ length: width }, (_, index) => value(row * width + index));
    return shape === undefined && redacted === undefined ? null : cell(values);
  });
}
