import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError } from "@espalier/core";

/** Changes the one line `default_stack:` of espalier.yaml, and nothing else of what the user wrote. */
export async function setDefaultStack(projectDirectory: string, name: string, known: readonly string[]): Promise<void> {
  if (!known.includes(name)) {
    throw new EspalierError("NOT_FOUND", `There is no stack "${name}"`, {
      at: "espalier.yaml: stacks",
      hint: `Known: ${known.join(", ")}.`,
    });
  }
  const path = join(projectDirectory, "espalier.yaml");
  const text = await readFile(path, "utf8");
  const line = `default_stack: ${name}`;
  const changed = /^default_stack:.*$/m.test(text) ? text.replace(/^default_stack:.*$/m, line) : `${line}\n${text}`;
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, changed);
  await rename(temporary, path);
}
