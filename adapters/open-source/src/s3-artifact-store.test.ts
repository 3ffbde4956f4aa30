import { randomUUID } from "node:crypto";
import { artifactStoreConformance } from "@espalier/conformance";
import type { ArtifactStore, ByteStream } from "@espalier/core";
import { describe, expect, it } from "vitest";
import type { S3Api } from "./s3-api.ts";
import { createS3ArtifactStore } from "./s3-artifact-store.ts";
import { type S3Config, s3ConfigSchema } from "./s3-config.ts";
import { fromS3Error } from "./s3-errors.ts";

const endpoint = process.env.ESPALIER_TEST_S3_ENDPOINT;
const bucket = process.env.ESPALIER_TEST_S3_BUCKET ?? "";

async function* streamOf(text: string): ByteStream {
  yield Buffer.from(text);
}

async function read(body: ByteStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

if (endpoint === undefined) {
  it.skip("S3 conformance (skipped: needs a server; `npm run test:servers -- s3` starts one)", () => undefined);
} else {
  const config: S3Config = { endpoint, bucket };

  artifactStoreConformance(
    { describe, it, expect },
    {
      async open() {
        const store = createS3ArtifactStore({ ...config, prefix: `${randomUUID()}/` });
        return { store, close: () => empty(store) };
      },
    },
  );

  describe("against the real server", () => {
    it("says which setting is wrong", async () => {
      const noBucket = createS3ArtifactStore({ ...config, bucket: "no-such-bucket" });
      await expect(noBucket.put("key", streamOf("1"), { size: 1 })).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(noBucket.list("")).rejects.toThrow(/NoSuchBucket/);
      process.env.TEST_S3_KEY = "espalier";
      process.env.TEST_S3_WRONG = "wrong";
      const credentials = { access_key_id_variable: "TEST_S3_KEY", secret_access_key_variable: "TEST_S3_WRONG" };
      const wrongKey = createS3ArtifactStore({ ...config, credentials });
      await expect(wrongKey.list("")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
      const unset = createS3ArtifactStore({
        ...config,
        credentials: { access_key_id_variable: "TEST_S3_UNSET", secret_access_key_variable: "TEST_S3_WRONG" },
      });
      await expect(unset.list("")).rejects.toThrow(/TEST_S3_UNSET/);
    });

    it("refuses a signed URL for another key", async () => {
      const store = createS3ArtifactStore({ ...config, prefix: `${randomUUID()}/` });
      await store.put("mine", streamOf("1"), { size: 1 });
      await store.put("other", streamOf("2"), { size: 1 });
      const url = await store.presign?.("mine", "GET", { expiresSeconds: 60 });
      expect((await fetch(url ?? "")).status).toBe(200);
      expect((await fetch(url?.replace("/mine?", "/other?") ?? "")).status).toBe(403);
      await empty(store);
    });
  });
}

async function empty(store: ArtifactStore): Promise<void> {
  for (;;) {
    const { keys } = await store.list("");
    if (keys.length === 0) return;
    await Promise.all(keys.map((key) => store.delete(key)));
  }
}

describe("without a server", () => {
  it("says that nobody answers", async () => {
    process.env.TEST_S3_KEY = "key";
    const store = createS3ArtifactStore({
      // Port 1 is privileged and served by nothing here.
      endpoint: "http://127.0.0.1:1",
      bucket: "b",
      credentials: { access_key_id_variable: "TEST_S3_KEY", secret_access_key_variable: "TEST_S3_KEY" },
    });
    await expect(store.head("key")).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it("goes on where a broken connection stopped", async () => {
    const ranges: (string | undefined)[] = [];
    const api = {
      getObject: async ({ Range, IfMatch }: { Range?: string; IfMatch?: string }) => {
        ranges.push(`${Range} ${IfMatch}`);
        const start = Number(/bytes=(\d+)/.exec(Range ?? "")?.[1] ?? 0);
        const body = async function* (): ByteStream {
          yield Buffer.from("0123456789".slice(start, start + 4));
          if (start < 6) throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
        };
        return { ETag: '"e"', Body: body() };
      },
    } as Partial<S3Api> as S3Api;
    const store = createS3ArtifactStore({ bucket: "b" }, async () => api);
    expect(await read(await store.get("key"))).toBe("0123456789");
    expect(ranges).toEqual(["undefined undefined", 'bytes=4- "e"', 'bytes=8- "e"']);
  });

  it("maps every kind of refusal", () => {
    const error = (name: string, httpStatusCode = 0): Error =>
      Object.assign(new Error("x"), { name, $metadata: { httpStatusCode } });
    const codes = [
      [error("NoSuchKey"), "NOT_FOUND"],
      [error("AccessDenied", 403), "PERMISSION_DENIED"],
      [error("Unknown", 403), "PERMISSION_DENIED"],
      [error("SlowDown", 503), "RATE_LIMITED"],
      [error("InternalError", 500), "UNAVAILABLE"],
      [error("StorageFull", 507), "DISK_FULL"],
      [error("CredentialsProviderError"), "UNAUTHENTICATED"],
      [error("AbortError"), "CANCELLED"],
      [error("Whatever"), "INTERNAL"],
    ] as const;
    for (const [given, code] of codes)
      expect([given.name, fromS3Error(given, "test").code]).toEqual([given.name, code]);
  });

  it("refuses settings it does not know", () => {
    expect(s3ConfigSchema.safeParse({ bucket: "b", buckett: "c" }).success).toBe(false);
    expect(s3ConfigSchema.safeParse({ bucket: "b", endpoint: "ftp://x" }).success).toBe(false);
    expect(s3ConfigSchema.safeParse({ bucket: "b", prefix: "../" }).success).toBe(false);
  });
});
