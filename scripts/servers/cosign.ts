import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const version = "2.6.1";
const cached = resolve(import.meta.dirname, `../../node_modules/.cache/espalier-servers/cosign-${version}/cosign`);

/**
 * cosign, from the PATH or built before. It is not built here: with everything it stands on that takes two cores a quarter of an hour.
 * `{ skipped }` says with what command.
 */
export function findCosign(): { path: string } | { skipped: string } {
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  const found = [...folders.map((folder) => join(folder, "cosign")), cached].find((path) => existsSync(path));
  if (found !== undefined) return { path: found };
  const build = `GOBIN=${resolve(cached, "..")} go install github.com/sigstore/cosign/v2/cmd/cosign@v${version}`;
  return { skipped: `cosign is not installed; to build it: ${build}` };
}
