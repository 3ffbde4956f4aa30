import { readFile } from "node:fs/promises";
import { EspalierError, type Json } from "@espalier/core";
import { parseDocument } from "yaml";

/** Reads a YAML (or JSON) file that came in as an input; INVALID_CONFIG tells line and column. */
export async function readYaml(path: string, input: string): Promise<Json> {
  const document = parseDocument(await readFile(path, "utf8"), { prettyErrors: true });
  const fault = document.errors[0];
  if (fault !== undefined) {
    const position = fault.linePos?.[0];
    throw new EspalierError(
      "INVALID_CONFIG",
      `The input \`${input}\` is not valid YAML: ${fault.message.split("\n")[0]}`,
      {
        cause: fault,
        at: position === undefined ? `inputs.${input}` : `inputs.${input}:${position.line}:${position.col}`,
      },
    );
  }
  return document.toJS() as Json;
}
