import { chmod, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, Secret, type SecretStore, type ToolManifest } from "@espalier/core";
import { z } from "zod";
import { removeStaleTemporaries, temporaryName } from "./disk.ts";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";
import { checkedSecretName } from "./environment-secret-store.ts";

export const fileSecretsConfigSchema = z.strictObject({
  /** Folder that holds one file a secret. */
  path: z.string().min(1),
});
export type FileSecretsConfig = z.infer<typeof fileSecretsConfigSchema>;

export const fileSecretsManifest: ToolManifest = {
  tool: "file",
  provider: "embedded",
  component: "secrets",
  milestone: 0,
  summary: "Secrets as files that only their owner may read; falls back to environment variables",
  capabilities: ["write", "list", "delete"],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "one file a secret",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "none", operations: "none" },
  verified: { label: "real", against: "Linux", live: "not applicable" },
  losses: ["Not encrypted: whoever reads the owner's files reads the secrets."],
};

/** `fallback` answers for names that have no file; it is not listed. */
export function createFileSecretStore(config: FileSecretsConfig, fallback?: SecretStore): SecretStore {
  const folder = config.path;
  return {
    async get(name) {
      const path = join(folder, checkedSecretName(name));
      try {
        return new Secret(await readPrivate(path));
      } catch (error) {
        if (hasSystemCode(error, "ENOENT")) return fallback?.get(name);
        throw fromDiskError(error, path);
      }
    },
    async put(name, value) {
      const path = join(folder, checkedSecretName(name));
      const temporary = join(folder, temporaryName());
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await chmod(folder, 0o700);
        await removeStaleTemporaries(folder);
        const handle = await open(temporary, "wx", 0o600);
        try {
          await handle.writeFile(value.reveal());
          await handle.datasync();
        } finally {
          await handle.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw fromDiskError(error, path);
      }
    },
    async delete(name) {
      const path = join(folder, checkedSecretName(name));
      try {
        await rm(path, { force: true });
      } catch (error) {
        throw fromDiskError(error, path);
      }
    },
    async list() {
      try {
        return (await readdir(folder)).filter((name) => !name.startsWith(".")).sort();
      } catch (error) {
        if (hasSystemCode(error, "ENOENT")) return [];
        throw fromDiskError(error, folder);
      }
    },
  };
}

/** A secret that others can read has leaked already: better to say so than to use it. */
async function readPrivate(path: string): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0) {
      throw new EspalierError("PERMISSION_DENIED", `Other users may read the secret in ${path}`, {
        at: path,
        hint: `Replace the secret if others could have seen it, then: chmod 600 ${path}`,
      });
    }
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
