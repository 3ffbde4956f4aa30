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
    throw new EspalierError(code === "EACCES" ? "PERMISSION_DENIED" : "NOT_FOUND", whyUnread(code, shown), {
      at: shown,
      hint: "Run `espalier advise` in a terminal to be asked, or give a file by --from.",
      cause: error,
    });
  }
  const document = readYamlDocument(text, shown);
  const { faults, value } =
    document.faults.length > 0 ? document : salvage(answersSchema, document.value, "INVALID_INPUT");
  if (faults.length > 0)
    throw faultsError(
      // YAML that is none is a fault of the input here, as all others are.
      placed(faults, document.locate).map((fault) => ({ ...fault, code: "INVALID_INPUT" })),
      shown,
    );
  return value as Answers;
}

function whyUnread(code: string | undefined, shown: string): string {
  if (code === "EISDIR") return `${shown} is a folder, and no file of answers`;
  return code === "EACCES" ? `${shown} may not be read` : `There are no answers in ${shown}: it is not there`;
}

/** As `readAnswers` reads them. */
export function answersText(answers: Answers): string {
  return stringify(answers);
}
