import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { type Answers, answersSchema, EspalierError, faultsError, salvage } from "@espalier/core";
import { stringify } from "yaml";
import { placed, readYamlDocument } from "../yaml-document.ts";

/** `advice.yaml`, checked. Errors: NOT_FOUND, INVALID_INPUT with the place of every fault. */
export async function readAnswers(path: string): Promise<Answers> {
  const shown = relative(process.cwd(), path) || path;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "EISDIR" && code !== "EACCES") throw error;
    throw new EspalierError("NOT_FOUND", `There are no answers to read in ${shown} (${code})`, {
      at: shown,
      hint: "Run `espalier advise` in a terminal to be asked, or give a file by --from.",
      cause: error,
    });
  }
  const document = readYamlDocument(text, shown);
  const { faults, value } =
    document.faults.length > 0 ? document : salvage(answersSchema, document.value, "INVALID_INPUT");
  if (faults.length > 0) throw faultsError(placed(faults, document.locate), `the answers in ${shown}`);
  return value as Answers;
}

/** As `readAnswers` reads them. */
export function answersText(answers: Answers): string {
  return stringify(answers);
}
