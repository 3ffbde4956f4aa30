import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const version = "1.7.7";
const folder = resolve(import.meta.dirname, `../../node_modules/.cache/espalier-servers/actionlint-${version}`);

/** Builds the linter of GitHub's workflows once with Go; the reason when that is not possible. */
export function findActionlint(): { path: string } | { skipped: string } {
  const path = join(folder, "actionlint");
  if (existsSync(path)) return { path };
  if (spawnSync("go", ["version"]).status !== 0)
    return { skipped: "Go is not installed, and actionlint is built with it" };
  mkdirSync(folder, { recursive: true });
  process.stderr.write(`building actionlint ${version} (once)\n`);
  const built = spawnSync("go", ["install", `github.com/rhysd/actionlint/cmd/actionlint@v${version}`], {
    cwd: tmpdir(),
    env: { ...process.env, GOBIN: folder },
    encoding: "utf8",
  });
  return built.status === 0 ? { path } : { skipped: `go install failed: ${built.stderr.trim().split("\n").at(-1)}` };
}
