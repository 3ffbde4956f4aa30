import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The newest that the Go module proxy has. */
const version = "4.0.5";
const folder = resolve(import.meta.dirname, `../../node_modules/.cache/espalier-servers/argo-${version}`);

/** Builds Argo's command line, which lints workflows, once with Go (some minutes); the reason when that is not possible. */
export function findArgo(): { path: string } | { skipped: string } {
  const path = join(folder, "argo");
  if (existsSync(path)) return { path };
  if (spawnSync("go", ["version"]).status !== 0) return { skipped: "Go is not installed, and argo is built with it" };
  process.stderr.write(`building argo ${version} (once, some minutes)\n`);
  const scratch = mkdtempSync(join(tmpdir(), "espalier-argo-"));
  try {
    const module = `github.com/argoproj/argo-workflows/v4@v${version}`;
    const found = spawnSync("go", ["mod", "download", "-json", module], { cwd: scratch, encoding: "utf8" });
    if (found.status !== 0) return { skipped: `go mod download failed: ${found.stdout.trim().split("\n").at(-2)}` };
    const { Dir } = JSON.parse(found.stdout) as { Dir: string };
    const source = join(scratch, "source");
    cpSync(Dir, source, { recursive: true });
    spawnSync("chmod", ["-R", "u+w", source]);
    // It embeds its web page, which is built apart and is not in the module.
    mkdirSync(join(source, "ui/dist/app"), { recursive: true });
    writeFileSync(join(source, "ui/dist/app/index.html"), "");
    mkdirSync(folder, { recursive: true });
    const built = spawnSync("go", ["build", "-o", path, "./cmd/argo"], { cwd: source, encoding: "utf8" });
    return built.status === 0 ? { path } : { skipped: `go build failed: ${built.stderr.trim().split("\n").at(-1)}` };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
