import type { Digest } from "./canonical-json.ts";
import type { ArtifactType } from "./ir/pipeline.ts";

/**
 * Immutable content by digest. A file's digest is the SHA-256 of its bytes; a tree's (and a model's) is the SHA-256 of its canonical
 * list, see `artifacts.ts`; a value's is that of its canonical JSON file. `size` is the sum of file sizes in bytes.
 */
export interface ArtifactRef {
  type: ArtifactType;
  digest: Digest;
  size: number;
}
