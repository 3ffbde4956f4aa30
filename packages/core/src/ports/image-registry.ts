import type { Digest } from "../canonical-json.ts";
import type { ByteStream } from "./artifact-store.ts";

/** OCI content descriptor (image-spec v1.1). `size` in bytes. */
export interface OciDescriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
}

/** Milestone 9, package: blobs and manifests of the OCI distribution specification. Errors: NOT_FOUND, UNAVAILABLE, PERMISSION_DENIED. Idempotent. */
export interface ImageRegistry {
  hasBlob(repository: string, digest: Digest): Promise<boolean>;
  putBlob(repository: string, descriptor: OciDescriptor, body: ByteStream): Promise<void>;
  getBlob(repository: string, digest: Digest): Promise<ByteStream>;
  /** Publishes a manifest under a tag; blobs it names must be there. Returns its digest. */
  putManifest(repository: string, tag: string, manifest: Uint8Array, mediaType: string): Promise<Digest>;
  getManifest(
    repository: string,
    reference: string,
  ): Promise<{ manifest: Uint8Array; mediaType: string; digest: Digest }>;
}
