import { z } from "zod";
import { canonicalJson, type Digest, digestOfBytes, isDigest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { TreeEntry } from "./tree.ts";

/**
 * Many small files in one object: layout, never identity. A pack's index lists its members in order; the pack is named by the digest
 * of that index, and members are verified one by one by their own digests.
 *
 * Where one pack ends is decided by the members' digests, not by counting: a tree that gained one file shares all packs but one with
 * its predecessor, and no table of what is packed where is needed.
 */
export interface Pack {
  digest: Digest;
  index: Uint8Array;
  members: PackMember[];
  /** Bytes of the body. */
  size: number;
}

export interface PackMember {
  sha256: string;
  size: number;
  /** In bytes, from the start of the body. */
  offset: number;
}

const packRules = {
  /** Files up to this many bytes are packed. */
  smallFileBytes: 64 * 1024,
  /** A tree with fewer small files than this keeps them loose. */
  fewestFiles: 32,
  /** A pack ends after a member whose digest's first two bytes are a multiple of this ... */
  boundaryDivisor: 512,
  /** ... or before its body would outgrow this. */
  largestPackBytes: 16 * 1024 * 1024,
} as const;

/** Which files of a tree go into packs, in order of path; each distinct content once. */
export function planPacks(files: readonly TreeEntry[]): Pack[] {
  const small = files.filter((file) => file.size <= packRules.smallFileBytes);
  if (small.length < packRules.fewestFiles) return [];
  const packs: Pack[] = [];
  let members: PackMember[] = [];
  let offset = 0;
  const close = (): void => {
    if (members.length > 0) packs.push(makePack(members, offset));
    members = [];
    offset = 0;
  };
  const seen = new Set<string>();
  for (const { sha256, size } of small) {
    if (seen.has(sha256)) continue;
    seen.add(sha256);
    if (offset + size > packRules.largestPackBytes) close();
    members.push({ sha256, size, offset });
    offset += size;
    if (Number.parseInt(sha256.slice(0, 4), 16) % packRules.boundaryDivisor === 0) close();
  }
  close();
  return packs;
}

function makePack(members: PackMember[], size: number): Pack {
  const index = Buffer.from(canonicalJson(members.map((member) => [member.sha256, member.size])), "utf8");
  return { digest: digestOfBytes(index), index, members, size };
}

const indexSchema = z.array(z.tuple([z.string().regex(/^[0-9a-f]{64}$/), z.int().nonnegative()]));

export function parsePackIndex(bytes: Uint8Array, digest: Digest): Pack {
  let pairs: z.infer<typeof indexSchema>;
  try {
    pairs = indexSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw new EspalierError("CORRUPTED", `The index of pack ${digest} can not be read`, {
      cause: error,
      details: { digest },
    });
  }
  let offset = 0;
  const members = pairs.map(([sha256, size]) => {
    const member = { sha256, size, offset };
    offset += size;
    return member;
  });
  return { digest, index: bytes, members, size: offset };
}

const layoutSchema = z.strictObject({ packs: z.array(z.string().refine(isDigest)) });

export const renderLayout = (packs: readonly Pack[]): Uint8Array =>
  Buffer.from(canonicalJson({ packs: packs.map((pack) => pack.digest) }), "utf8");

export function parseLayout(bytes: Uint8Array, key: string): Digest[] {
  try {
    return layoutSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8"))).packs;
  } catch (error) {
    throw new EspalierError("CORRUPTED", `The layout ${key} can not be read`, { cause: error, details: { key } });
  }
}
