import { createHash, randomUUID } from "node:crypto";
import { type ByteStream, EspalierError } from "@espalier/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createS3ArtifactStore } from "./s3-artifact-store.ts";
import { connectS3 } from "./s3-client.ts";
import type { S3Config } from "./s3-config.ts";
import { fromS3Error } from "./s3-errors.ts";

const endpoint = process.env.ESPALIER_TEST_S3_ENDPOINT;
const bucket = process.env.ESPALIER_TEST_S3_BUCKET ?? "";
const hour = 3_600_000;

async function* streamOf(text: string): ByteStream {
  yield Buffer.from(text);
}

async function refusalOf(work: Promise<unknown>): Promise<EspalierError> {
  const error = await work.then(
    () => undefined,
    (refusal: unknown) => refusal,
  );
  if (error instanceof EspalierError) return error;
  throw new Error(`Expected one of our errors, got ${String(error)}`);
}

/** This process's clock only; timers go on. */
function setClockOff(milliseconds: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + milliseconds });
}

afterEach(() => void vi.useRealTimers());

describe.skipIf(endpoint === undefined)(
  "what a real S3 server refuses (skipped: needs a server; `npm run test:servers -- s3` starts one)",
  () => {
    const config: S3Config = { endpoint: endpoint ?? "", bucket };
    const storeWith = (change: Partial<S3Config>) =>
      createS3ArtifactStore({ ...config, prefix: `${randomUUID()}/`, ...change });
    const withCredentials = (keyId: string, secret: string) => {
      process.env.TEST_S3_FAULTS_ID = keyId;
      process.env.TEST_S3_FAULTS_SECRET = secret;
      return storeWith({
        credentials: {
          access_key_id_variable: "TEST_S3_FAULTS_ID",
          secret_access_key_variable: "TEST_S3_FAULTS_SECRET",
        },
      });
    };

    it("a wrong secret: the server's word for it, not to be tried again", async () => {
      const store = withCredentials(process.env.AWS_ACCESS_KEY_ID ?? "", "wrong");
      const error = await refusalOf(store.put("key", streamOf("1"), { size: 1 }));
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", retryable: false });
      expect(error.message).toContain("SignatureDoesNotMatch");
      expect(error.hint).toMatch(/secret access key/);
    });

    it("an unknown access key", async () => {
      const error = await refusalOf(withCredentials("nobody", "wrong").list(""));
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", retryable: false });
      expect(error.message).toContain("InvalidAccessKeyId");
    });

    it("a missing bucket, in every operation that can tell", async () => {
      const store = storeWith({ bucket: "no-such-bucket" });
      for (const attempt of [
        () => store.put("key", streamOf("1"), { size: 1 }),
        () => store.get("key"),
        () => store.list(""),
        () => store.put("key", large(17), { size: 17 * 2 ** 20 }),
      ]) {
        const error = await refusalOf(attempt());
        expect(error).toMatchObject({ code: "NOT_FOUND", retryable: false });
        expect(error.message).toContain("NoSuchBucket");
        expect(error.hint).toMatch(/artifacts.with.bucket/);
      }
    });

    it("a signed URL that has expired says so, and a new one works", async () => {
      const store = storeWith({});
      await store.put("key", streamOf("1"), { size: 1 });
      setClockOff(-hour);
      const expired = await store.presign?.("key", "GET", { expiresSeconds: 60 });
      vi.useRealTimers();
      const refused = await fetch(expired ?? "");
      expect(refused.status).toBe(403);
      expect(await refused.text()).toMatch(/expired/i);
      const renewed = await store.presign?.("key", "GET", { expiresSeconds: 60 });
      expect(await (await fetch(renewed ?? "")).text()).toBe("1");
      await store.delete("key");
    });

    it("a clock that is an hour off: found out from the server's answer and allowed for", async () => {
      const store = storeWith({});
      setClockOff(hour);
      await store.put("key", streamOf("1"), { size: 1 });
      expect(await store.head("key")).toEqual({ size: 1 });
      await store.delete("key");
    });

    it("a half-finished upload is not there, does not hinder the next, and can not be finished without its parts", async () => {
      const s3 = await connectS3(config);
      const address = { Bucket: bucket, Key: `${randomUUID()}/key` };
      const { UploadId = "" } = await s3.createMultipartUpload(address, {});
      const part = { ...address, UploadId, PartNumber: 1, Body: Buffer.from("1"), ContentLength: 1 };
      await s3.uploadPart(part, {});
      const store = createS3ArtifactStore({ ...config, prefix: address.Key.replace(/key$/, "") });
      expect(await store.head("key")).toBeUndefined();
      expect((await store.list("")).keys).toEqual([]);
      const unsent = { PartNumber: 2, ETag: `"${createHash("md5").update("2").digest("hex")}"` };
      const finishing = s3.completeMultipartUpload({ ...address, UploadId, MultipartUpload: { Parts: [unsent] } }, {});
      const refusal = fromS3Error(await finishing.catch((error: unknown) => error), "finishing");
      expect(refusal).toMatchObject({ code: "INVALID_INPUT", retryable: false });
      expect(refusal.message).toContain("InvalidPart");
      await store.put("key", streamOf("22"), { size: 2 });
      expect(await store.head("key")).toEqual({ size: 2 });
      await s3.abortMultipartUpload({ ...address, UploadId });
      await store.delete("key");
    });

    it("a server that is away can be tried again", async () => {
      const error = await refusalOf(storeWith({ endpoint: "http://127.0.0.1:1" }).list(""));
      expect(error).toMatchObject({ code: "UNREACHABLE", retryable: true });
      expect(error.message).toContain("ECONNREFUSED");
    });
  },
);

async function* large(mebibytes: number): ByteStream {
  for (let sent = 0; sent < mebibytes; sent += 1) yield Buffer.alloc(2 ** 20, sent);
}
