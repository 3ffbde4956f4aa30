import { expect, test } from "vitest";
import { parseReference } from "./references.ts";

test.each([
  ["train.model", { kind: "step", step: "train", output: "model" }],
  ["./data/rows.parquet", { kind: "file", path: "./data/rows.parquet" }],
  ["./data//deep/./x", { kind: "file", path: "./data/deep/x" }],
  ["dataset:flights", { kind: "dataset", name: "flights" }],
  ["dataset:flights@3", { kind: "dataset", name: "flights", version: "3" }],
  ["models:/flights-delay@champion", { kind: "model", name: "flights-delay", alias: "champion" }],
  ["models:/flights-delay@12", { kind: "model", name: "flights-delay", version: "12" }],
  ["models:/flights-delay/12", { kind: "model", name: "flights-delay", version: "12" }],
  ["s3://bucket/prefix", { kind: "uri", uri: "s3://bucket/prefix", scheme: "s3" }],
])("%s", (text, reference) => {
  expect(parseReference(text)).toEqual(reference);
});

test.each([
  ["data/rows.parquet", "write `./data/rows.parquet`"],
  ["../rows.parquet", "inside the project's folder"],
  ["./a/../../rows.parquet", "relative to the project's folder"],
  ["/etc/passwd", "path from the project's folder"],
  ["models:/Flights", "models:/name@alias"],
  ["dataset:", "dataset:name"],
  ["train", "step.output"],
  ["Train.model", "step.output"],
])("%s is refused with a hint", (text, hint) => {
  expect(() => parseReference(text)).toThrow(
    expect.objectContaining({ code: "INVALID_PIPELINE", hint: expect.stringContaining(hint) }),
  );
});
