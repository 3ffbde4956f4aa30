import type { ModelSignature } from "@espalier/core";
import type { CapturedExchange, Payload } from "./captured-exchange.ts";
import { isRedacted, type RedactionOptions, writtenField } from "./redaction.ts";

/**
 * What leaves for other systems: the bytes as they travelled, or, where fields are redacted or there are no such bytes, inputs and outputs
 * written anew as MLflow would send and answer them.
 */
export function createPlainPayloads(signature: ModelSignature, redaction: RedactionOptions) {
  const inputs = signature.inputs.map((column) => writtenField(column, redaction));
  const outputs = signature.outputs.map((output) => writtenField(output, redaction));
  const mayKeepBytes = !isRedacted(redaction);

  function writtenRequest({ table }: CapturedExchange): Payload {
    const width = inputs.length;
    const data = Array.from({ length: table.rows }, (_, row) =>
      inputs.map(({ cell }, column) => cell(table.values[row * width + column])),
    );
    const columns = inputs.map(({ name }) => name);
    return { contentType: "application/json", body: JSON.stringify({ dataframe_split: { columns, data } }) };
  }

  function writtenResponse({ table, outputs: given }: CapturedExchange): Payload {
    const predictions = Array.from({ length: table.rows }, (_, row) =>
      Object.fromEntries(
        outputs.map(({ name, cell }) => {
          const output = given.find((candidate) => candidate.name === name);
          const width = (output?.data.length ?? 0) / table.rows;
          const values = Array.from({ length: width }, (_value, index) => output?.data[row * width + index]);
          return [name, cell(width === 1 ? values[0] : values)];
        }),
      ),
    );
    return { contentType: "application/json", body: JSON.stringify({ predictions }) };
  }

  return {
    request: (exchange: CapturedExchange): Payload =>
      mayKeepBytes && exchange.request !== undefined ? exchange.request : writtenRequest(exchange),
    response: (exchange: CapturedExchange): Payload =>
      mayKeepBytes && exchange.response !== undefined ? exchange.response : writtenResponse(exchange),
  };
}
