import type { Digest } from "../canonical-json.ts";
import type { ByteStream } from "./artifact-store.ts";

/** OCI content descriptor (image-spec v1.1). `size` in bytes. */
export interface OciDescriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  artifactType?: string;
  annotations?: Record<string, string>;
  /** Of an image in an index: what it runs on. */
  platform?: { os: string; architecture: string; variant?: string };
}

export interface PutBlobOptions {
  /** A repository of the same registry that may hold the blob: where the registry can, it is taken from there and nothing is sent. */
  mountFrom?: string;
}

/**
 * Milestone 9, package: blobs and manifests of the OCI distribution specification v1.1. Idempotent.
 * Errors: NOT_FOUND, INVALID_INPUT (a name, a tag, content that is not what its descriptor says), UNAUTHENTICATED, PERMISSION_DENIED,
 * UNAVAILABLE, UNREACHABLE, DISK_FULL; CORRUPTED when what is there is not what its digest says.
 */
export interface ImageRegistry {
  hasBlob(repository: string, digest: Digest): Promise<boolean>;
  /** `body` is read only when the blob has to be sent; a second time, if it can be, when an upload has to begin anew. */
  putBlob(repository: string, descriptor: OciDescriptor, body: ByteStream, options?: PutBlobOptions): Promise<void>;
  /** Verified while it streams: damaged content throws CORRUPTED before its last bytes are handed out. */
  getBlob(repository: string, digest: Digest): Promise<ByteStream>;
  /** Publishes a manifest under a tag, or untagged under its own digest; blobs and manifests it names must be there. Returns its digest. */
  putManifest(repository: string, reference: string, manifest: Uint8Array, mediaType: string): Promise<Digest>;
  /** By tag or digest; verified. */
  getManifest(
    repository: string,
    reference: string,
  ): Promise<{ manifest: Uint8Array; mediaType: string; digest: Digest }>;
  /** Manifests whose `subject` is this digest: signatures, bills of materials, provenance. Empty when nothing refers to it. */
  referrers(repository: string, digest: Digest): Promise<OciDescriptor[]>;
}
