import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPackages } from "./packages.ts";

export interface Podman {
  /** Variables that its program and skopeo are to be run with: storage and settings of this test alone. */
  environment: Record<string, string>;
  version: string;
  stop(): void;
}

const debian = ["podman", "skopeo", "runc", "netavark", "aardvark-dns", "catatonit", "iptables"];

/**
 * Podman with storage of its own, set up for machines that can not raise limits and have cgroups of version 1. `{ skipped }` says why no
 * container runs here: that is tried with one of no image.
 */
export function preparePodman(): Podman | { skipped: string } {
  if (process.getuid?.() !== 0) return { skipped: "Podman is set up for root in these tests" };
  const reason = installPackages(["podman", "skopeo", "runc"], debian);
  if (reason !== undefined) return { skipped: reason };
  let refusal = "";
  // overlay shares layers; where the file system can not do that, vfs copies them.
  for (const driver of ["overlay", "vfs"]) {
    const podman = withStorage(driver);
    const tried = spawnSync("podman", ["run", "--rm", "--network", "none", "--rootfs", "/:O", "true"], {
      env: { ...process.env, ...podman.environment },
      encoding: "utf8",
      timeout: 60_000,
    });
    if (tried.status === 0) {
      const version = spawnSync("podman", ["--version"], { encoding: "utf8" }).stdout.trim().split(" ").at(-1);
      return { ...podman, version: version ?? "unknown" };
    }
    podman.stop();
    refusal = tried.stderr.trim().split("\n").at(-1) ?? "";
  }
  return { skipped: `Podman runs no container here: ${refusal}` };
}

function withStorage(driver: string): Omit<Podman, "version"> {
  const folder = mkdtempSync(join(tmpdir(), "espalier-podman-"));
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  for (const name of ["storage", "run"]) mkdirSync(join(folder, name));
  const files = spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout.trim();
  const environment = {
    CONTAINERS_CONF: write(
      "containers.conf",
      `[containers]\ndefault_ulimits=["nofile=${files}:${files}","nproc=4096:4096"]\n` +
        `[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n`,
    ),
    CONTAINERS_STORAGE_CONF: write(
      "storage.conf",
      `[storage]\ndriver="${driver}"\ngraphroot="${join(folder, "storage")}"\nrunroot="${join(folder, "run")}"\n`,
    ),
    REGISTRY_AUTH_FILE: write("auth.json", "{}"),
  };
  const stop = (): void => {
    spawnSync("podman", ["rm", "--all", "--force", "--time", "0"], { env: { ...process.env, ...environment } });
    spawnSync("umount", ["--quiet", join(folder, "storage", "overlay")]);
    rmSync(folder, { recursive: true, force: true });
  };
  return { environment, stop };
}
