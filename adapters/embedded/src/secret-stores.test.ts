import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretStoreConformance } from "@espalier/conformance";
import { Secret } from "@espalier/core";
import { describe, expect, it } from "vitest";
import { createEnvironmentSecretStore } from "./environment-secret-store.ts";
import { createFileSecretStore } from "./file-secret-store.ts";

describe("environment", () => {
  secretStoreConformance(
    { describe, it, expect },
    {
      open: async (secrets) => ({ store: createEnvironmentSecretStore(secrets), close: async () => undefined }),
    },
  );

  it("prefers the variable that is meant for us alone", async () => {
    const store = createEnvironmentSecretStore({ TOKEN: "other", ESPALIER_SECRET_TOKEN: "ours" });
    expect((await store.get("TOKEN"))?.reveal()).toBe("ours");
  });
});

describe("file", () => {
  secretStoreConformance(
    { describe, it, expect },
    {
      async open(secrets) {
        const folder = await mkdtemp(join(tmpdir(), "espalier-secrets-"));
        const store = createFileSecretStore({ path: join(folder, "secrets") });
        for (const [name, value] of Object.entries(secrets)) await store.put?.(name, new Secret(value));
        return { store, close: () => rm(folder, { recursive: true }) };
      },
    },
  );

  it("keeps its files to the owner, refuses one that others can read, and falls back", async () => {
    const folder = await mkdtemp(join(tmpdir(), "espalier-secrets-"));
    const store = createFileSecretStore({ path: folder }, createEnvironmentSecretStore({ OTHER: "from outside" }));
    await store.put?.("TOKEN", new Secret("1"));
    expect((await stat(join(folder, "TOKEN"))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await store.get("OTHER"))?.reveal()).toBe("from outside");
    await chmod(join(folder, "TOKEN"), 0o644);
    await expect(store.get("TOKEN")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await rm(folder, { recursive: true });
  });
});
