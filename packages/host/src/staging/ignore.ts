import { readFile } from "node:fs/promises";
import { join } from "node:path";

const always = new Set([
  "node_modules",
  "__pycache__",
  ".git",
  ".espalier",
  ".venv",
  ".mypy_cache",
  ".pytest_cache",
  ".ipynb_checkpoints",
]);

/** What stays out of a source snapshot: by-products that nobody wrote, and what `.gitignore` or `.espalierignore` of the folder names. */
export async function sourceExcludes(folder: string): Promise<(relativePath: string) => boolean> {
  const rules = [
    ...(await readRules(join(folder, ".gitignore"))),
    ...(await readRules(join(folder, ".espalierignore"))),
  ];
  return (path) => {
    const parts = path.split("/");
    if (parts.some((part) => always.has(part))) return true;
    let excluded = false;
    for (const rule of rules) if (rule.pattern.test(path)) excluded = !rule.negated;
    return excluded;
  };
}

interface Rule {
  pattern: RegExp;
  negated: boolean;
}

async function readRules(path: string): Promise<Rule[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
    throw error;
  }
  return text.split(/\r?\n/).flatMap((line) => {
    const rule = line.trimEnd();
    return rule === "" || rule.startsWith("#") ? [] : [parseRule(rule)];
  });
}

/** The forms of .gitignore: `name`, `*.ext`, `/anchored`, `folder/`, `a/**`, `!not`. */
export function parseRule(text: string): Rule {
  const negated = text.startsWith("!");
  const bare = (negated ? text.slice(1) : text).replace(/\/$/, "");
  const anchored = bare.includes("/");
  const body = bare
    .replace(/^\//, "")
    .split("/")
    .map((part) =>
      part === "**"
        ? "**"
        : part
            .replace(/[.+^${}()|\\]/g, "\\$&")
            .replace(/\*/g, "[^/]*")
            .replace(/\?/g, "[^/]"),
    )
    .join("/")
    .replace(/^\*\*\//, "(?:.*/)?")
    .replace(/\/\*\*$/, "/.*")
    .replaceAll("/**/", "/(?:.*/)?");
  return { negated, pattern: new RegExp(`${anchored ? "^" : "(?:^|/)"}${body}(?:/|$)`) };
}
