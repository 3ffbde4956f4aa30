import { spawnSync } from "node:child_process";
import { installPackages } from "./packages.ts";

/** Debian's Chromium; `{ skipped }` says why there is none. */
export function findChromium(): { path: string; version: string } | { skipped: string } {
  const reason = installPackages(["chromium"], ["chromium"]);
  if (reason !== undefined) return { skipped: reason };
  const path = spawnSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).stdout.trim();
  const version = spawnSync(path, ["--version"], { encoding: "utf8" }).stdout.trim();
  return path === "" || version === "" ? { skipped: "chromium does not start here" } : { path, version };
}
