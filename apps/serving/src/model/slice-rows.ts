import type { ModelOutput } from "./model.ts";

/** The rows `from` to `to` of outputs that were run together. */
export function sliceRows(outputs: readonly ModelOutput[], from: number, to: number): ModelOutput[] {
  return outputs.map((output) => {
    const width = output.tail.reduce((product, size) => product * size, 1);
    const { data } = output;
    const part = ArrayBuffer.isView(data)
      ? (data as Float32Array).subarray(from * width, to * width)
      : (data as string[]).slice(from * width, to * width);
    return { ...output, data: part };
  });
}
