import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type ByteStream,
  type Digest,
  digestOfBytes,
  EspalierError,
  type ImageRegistry,
  isDigest,
  isRepositoryName,
  isTag,
  type OciDescriptor,
  subjectOf,
  type ToolManifest,
  verifiedStream,
} from "@espalier/core";
import { z } from "zod";
import { readChunks, temporaryName, writeNewFile } from "./disk.ts";
import { fromDiskError, hasSystemCode } from "./disk-errors.ts";

export const ociLayoutConfigSchema = z.strictObject({
  /** Folder that holds one OCI image layout a repository. */
  path: z.string().min(1),
});
export type OciLayoutConfig = z.infer<typeof ociLayoutConfigSchema>;

export const ociLayoutManifest: ToolManifest = {
  tool: "oci-layout",
  provider: "embedded",
  component: "packages",
  milestone: 9,
  summary: "Models and images in OCI image layouts on disk, which registries' own tools can copy",
  capabilities: [],
  skills: [],
  ownership: {
    place: "this machine",
    setUpHours: [0, 0],
    hoursAMonth: [0, 0],
    dollarsAMonth: [0, 0],
    lockIn: 0,
    wayOut: "a standard layout that every registry's tools copy",
    source: "nothing is added to run or to pay",
    asOf: "2026-11-27",
  },
  cost: { money: "disk space", operations: "none" },
  verified: { label: "real", against: "OCI image-spec v1.1 layout, Linux", live: "not applicable" },
};

const indexType = "application/vnd.oci.image.index.v1+json";
const tagAnnotation = "org.opencontainers.image.ref.name";

const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: z.string().refine(isDigest),
  size: z.int().nonnegative(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const indexSchema = z.looseObject({ schemaVersion: z.literal(2), manifests: z.array(descriptorSchema) });
const manifestSchema = z.looseObject({
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema.optional(),
  layers: z.array(descriptorSchema).optional(),
  manifests: z.array(descriptorSchema).optional(),
});

/** OCI image layout v1.1, one a repository. One process writes tags at a time: the project's owner. */
export function createOciLayoutImageRegistry(config: OciLayoutConfig): ImageRegistry {
  return layoutsIn((repository) => join(config.path, checkedRepository(repository)));
}

/** One layout, whatever the repository is called. */
export function createOciLayout(folder: string): ImageRegistry {
  return layoutsIn(() => folder);
}

function layoutsIn(folderOf: (repository: string) => string): ImageRegistry {
  const blobPath = (repository: string, digest: Digest): string =>
    join(folderOf(repository), "blobs", "sha256", checkedDigest(digest).slice(7));
  let tagging: Promise<unknown> = Promise.resolve();

  /** Without a tag it is listed all the same, once: that is how what refers to an image is found. */
  async function list(repository: string, tagName: string | undefined, descriptor: OciDescriptor): Promise<void> {
    const path = join(folderOf(repository), "index.json");
    const index = (await readIndex(path)) ?? { schemaVersion: 2, mediaType: indexType, manifests: [] };
    if (tagName === undefined && index.manifests.some((entry) => entry.digest === descriptor.digest)) return;
    const others = index.manifests.filter((entry) => {
      const known = entry.annotations?.[tagAnnotation];
      return known === undefined ? entry.digest !== descriptor.digest : known !== tagName;
    });
    const annotations = tagName === undefined ? {} : { annotations: { [tagAnnotation]: tagName } };
    const manifests = [...others, { ...descriptor, ...annotations }];
    await replaceFile(path, JSON.stringify({ ...index, manifests }, null, 2));
    await replaceFile(join(folderOf(repository), "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  }

  return {
    async hasBlob(repository, digest) {
      return exists(blobPath(repository, digest));
    },
    async putBlob(repository, descriptor, body) {
      const path = blobPath(repository, descriptor.digest);
      if (!(await exists(path))) await writeBlob(path, descriptor, body);
    },
    async getBlob(repository, digest) {
      const path = blobPath(repository, digest);
      if (!(await exists(path))) throw absent(`${repository} has no blob ${digest}`);
      return verifiedStream(readChunks(path), { digest }, (found) => damaged(repository, "blob", digest, path, found));
    },
    async putManifest(repository, reference, manifest, mediaType) {
      const digest = digestOfBytes(manifest);
      checkedReference(reference, digest);
      const content = parseManifest(manifest);
      const referenced = [content.config, ...(content.layers ?? []), ...(content.manifests ?? [])];
      for (const descriptor of referenced) {
        if (descriptor && !(await exists(blobPath(repository, descriptor.digest)))) {
          throw absent(`${repository} has no blob ${descriptor.digest} that the manifest names`);
        }
      }
      const descriptor: OciDescriptor = {
        mediaType,
        digest,
        size: manifest.byteLength,
        ...(content.artifactType === undefined ? {} : { artifactType: content.artifactType }),
      };
      const path = blobPath(repository, digest);
      if (!(await exists(path))) await writeBlob(path, descriptor, bytesOnce(manifest));
      const tagName = isDigest(reference) ? undefined : reference;
      // An image below an index is found through the index.
      if (tagName !== undefined || subjectOf(manifest, mediaType) !== undefined) {
        const done = tagging.then(() => list(repository, tagName, descriptor));
        tagging = done.catch(() => undefined);
        await done;
      }
      return digest;
    },
    async getManifest(repository, reference) {
      const index = await readIndex(join(folderOf(repository), "index.json"));
      const entry = index?.manifests.find((candidate) =>
        isDigest(reference) ? candidate.digest === reference : candidate.annotations?.[tagAnnotation] === reference,
      );
      const digest = entry?.digest ?? (isDigest(reference) ? reference : undefined);
      if (!digest) throw absent(`${repository} has no tag ${JSON.stringify(reference)}`);
      const path = blobPath(repository, digest);
      const manifest = await readWhole(path, `${repository} has no manifest ${digest}`);
      const found = digestOfBytes(manifest);
      if (found !== digest) throw damaged(repository, "manifest", digest, path, found);
      const mediaType = entry?.mediaType ?? parseManifest(manifest).mediaType;
      if (!mediaType) throw absent(`${repository} has no manifest ${digest}`);
      return { manifest, mediaType, digest };
    },
    async referrers(repository, digest) {
      checkedDigest(digest);
      const index = await readIndex(join(folderOf(repository), "index.json"));
      const found = new Map<Digest, OciDescriptor>();
      for (const entry of index?.manifests ?? []) {
        const path = blobPath(repository, entry.digest);
        const manifest = await readWhole(path, `${repository} has no manifest ${entry.digest}`);
        const link = subjectOf(manifest, entry.mediaType);
        if (link?.subject === digest) found.set(entry.digest, link.descriptor);
      }
      return [...found.values()];
    },
  };
}

/** The one image of a layout, for whoever did not say which. NOT_FOUND: it has none. INVALID_INPUT: it has several. */
export async function onlyImageIn(folder: string): Promise<Digest> {
  const index = await readIndex(join(folder, "index.json"));
  const images = (index?.manifests ?? []).filter((entry) => entry.artifactType === undefined);
  const digests = [...new Set(images.map((entry) => entry.digest))];
  if (digests[0] !== undefined && digests.length === 1) return digests[0];
  if (digests.length === 0) throw absent(`The OCI layout in ${folder} has no image`);
  const tags = images.flatMap((entry) => entry.annotations?.[tagAnnotation] ?? []);
  throw new EspalierError("INVALID_INPUT", `The OCI layout in ${folder} has ${digests.length} images`, {
    hint: `Say which: ${tags.map((one) => `oci:${folder}:${one}`).join(", ")}`,
  });
}

const damaged = (repository: string, what: string, digest: Digest, path: string, found: string): EspalierError =>
  new EspalierError("CORRUPTED", `The ${what} ${digest} of ${repository} is damaged: it is ${found}`, {
    at: path,
    hint: "Remove the file and package the model again.",
  });

const absent = (message: string): EspalierError => new EspalierError("NOT_FOUND", message);

/** The names of a layout's own files are taken. */
function checkedRepository(repository: string): string {
  const taken = ["blobs", "index.json", "oci-layout"];
  if (isRepositoryName(repository) && !repository.split("/").some((part) => taken.includes(part))) return repository;
  throw new EspalierError("INVALID_INPUT", `${JSON.stringify(repository)} can not be the name of a repository`, {
    hint: "Use lower-case letters and digits, parted by '/', '.', '_' or '-'.",
  });
}

function checkedReference(reference: string, digest: Digest): void {
  if (reference === digest || (isTag(reference) && !isDigest(reference))) return;
  throw new EspalierError(
    "INVALID_INPUT",
    `${JSON.stringify(reference)} can not be a tag, and is not the manifest's digest`,
  );
}

function checkedDigest(digest: string): Digest {
  if (isDigest(digest)) return digest;
  throw new EspalierError("INVALID_INPUT", `${JSON.stringify(digest)} is not a digest`);
}

function parseManifest(bytes: Uint8Array): z.infer<typeof manifestSchema> {
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw new EspalierError("INVALID_INPUT", "This is not an OCI manifest", { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) return false;
    throw fromDiskError(error, path);
  }
}

async function readWhole(path: string, missing: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (hasSystemCode(error, "ENOENT", "ENOTDIR")) throw absent(missing);
    throw fromDiskError(error, path);
  }
}

async function readIndex(path: string): Promise<z.infer<typeof indexSchema> | undefined> {
  if (!(await exists(path))) return undefined;
  const text = await readWhole(path, `There is no ${path}`);
  try {
    return indexSchema.parse(JSON.parse(text.toString("utf8")));
  } catch (error) {
    throw new EspalierError("CORRUPTED", `${path} is not the index of an OCI layout`, { cause: error, at: path });
  }
}

async function* bytesOnce(bytes: Uint8Array): ByteStream {
  yield bytes;
}

async function writeBlob(path: string, descriptor: OciDescriptor, body: ByteStream): Promise<void> {
  const hash = createHash("sha256");
  const hashed = async function* (): ByteStream {
    for await (const chunk of body) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const temporary = join(dirname(path), temporaryName());
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw fromDiskError(error, dirname(path));
  });
  try {
    const size = await writeNewFile(temporary, hashed(), { mode: 0o644, maxBytes: descriptor.size });
    if (size !== descriptor.size || `sha256:${hash.digest("hex")}` !== descriptor.digest) {
      throw new EspalierError("INVALID_INPUT", `The blob is not what its descriptor says: ${descriptor.digest}`);
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fromDiskError(error, path);
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), temporaryName());
  try {
    await writeNewFile(temporary, bytesOnce(Buffer.from(text)), { mode: 0o644 });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fromDiskError(error, path);
  }
}
