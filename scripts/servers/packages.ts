import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const has = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => folder !== "" && existsSync(join(folder, program)));

/** Debian's packages, unless their programs are there; the reason when that is not possible. */
export function installPackages(programs: readonly string[], packages: readonly string[]): string | undefined {
  const missing = programs.filter((program) => !has(program));
  if (missing.length === 0) return undefined;
  if (process.getuid?.() !== 0) return `${missing.join(", ")} is not installed, and only root may install it`;
  if (!has("apt-get")) return `${missing.join(", ")} is not installed, and there is no apt-get here`;
  process.stderr.write(`installing ${packages.join(", ")} (once)\n`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const command of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", ...packages],
  ]) {
    const done = spawnSync("apt-get", command, { env: environment, encoding: "utf8" });
    if (done.status !== 0) return `apt-get ${command[0]} failed: ${done.stderr.trim().split("\n").at(-1)}`;
  }
  const still = programs.filter((program) => !has(program));
  return still.length === 0 ? undefined : `After the installation these are still missing: ${still.join(", ")}`;
}
