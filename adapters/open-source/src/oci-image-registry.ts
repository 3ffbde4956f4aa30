import {
  addReferrer,
  type Digest,
  digestOfBytes,
  dockerIndexType,
  dockerManifestType,
  EspalierError,
  type ImageRegistry,
  isDigest,
  isEspalierError,
  isRepositoryName,
  isTag,
  type OciDescriptor,
  ociIndexType,
  ociManifestType,
  readReferrers,
  referrersTag,
  subjectOf,
  type ToolHost,
  verifiedStream,
} from "@espalier/core";
import type { OciConfig } from "./oci-config.ts";
import { type RegistryCredentials, storedCredentials } from "./oci-credentials.ts";
import { fromRegistryFetch } from "./oci-errors.ts";
import { connectRegistry, discard, type RegistryClient } from "./oci-registry-client.ts";
import { uploadBlob } from "./oci-upload.ts";

const manifestTypes = [ociIndexType, ociManifestType, dockerIndexType, dockerManifestType];
/** The specification's least upper bound; larger ones are refused by registries. */
const largestManifestBytes = 4 * 1024 * 1024;

/** What a caller knows of a registry beside its settings. */
export interface OciHost extends Pick<ToolHost, "secret"> {
  /** Instead of settings and of what the user has signed in with. */
  credentials?: RegistryCredentials;
}

/** Any registry that speaks the OCI distribution protocol v1.1, or Docker's before it. Reaches no network before the first call. */
export function createOciImageRegistry(config: OciConfig, host: OciHost = {}): ImageRegistry {
  const client = connectRegistry({
    registry: config.registry,
    plainHttp: config.plain_http ?? isLoopback(config.registry),
    credentials: (repository) => credentialsOf(config, host, repository),
  });
  const place = (repository: string): string => repositoryIn(config, repository);
  // Of one process at least, two changes of one list do not undo each other.
  let listing: Promise<unknown> = Promise.resolve();

  const registry: ImageRegistry = {
    async hasBlob(repository, digest) {
      const name = place(repository);
      const request = { method: "HEAD", repository: name, what: "asking for a blob", allowed: [404] } as const;
      const response = await client.send({ ...request, target: `${name}/blobs/${checkedDigest(digest)}` });
      await discard(response);
      return response.ok;
    },
    async putBlob(repository, descriptor, body, options = {}) {
      checkedDigest(descriptor.digest);
      const mountFrom = options.mountFrom === undefined ? undefined : place(options.mountFrom);
      if (await registry.hasBlob(repository, descriptor.digest)) return;
      await uploadBlob(client, { repository: place(repository), descriptor, body, mountFrom });
    },
    async getBlob(repository, digest) {
      const name = place(repository);
      const what = `fetching the blob ${digest}`;
      const target = `${name}/blobs/${checkedDigest(digest)}`;
      const response = await client.send({ method: "GET", target, repository: name, what });
      return verifiedStream(bytesOf(client, response, what), { digest }, (found) =>
        damaged(client, name, digest, found),
      );
    },
    async putManifest(repository, reference, manifest, mediaType) {
      const name = place(repository);
      const digest = digestOfBytes(manifest);
      checkedReference(reference, digest);
      const response = await client.send({
        method: "PUT",
        target: `${name}/manifests/${reference}`,
        repository: name,
        what: `publishing ${name}:${reference}`,
        body: manifest,
        headers: { "content-type": mediaType },
      });
      await discard(response);
      const link = subjectOf(manifest, mediaType);
      if (link !== undefined && response.headers.get("oci-subject") === null) {
        const done = listing.then(() => addToTag(repository, link.subject, link.descriptor));
        listing = done.catch(() => undefined);
        await done;
      }
      const answered = response.headers.get("docker-content-digest");
      return answered !== null && isDigest(answered) ? answered : digest;
    },
    async getManifest(repository, reference) {
      const name = place(repository);
      if (!isDigest(reference) && !isTag(reference)) throw noTag(reference);
      const what = `fetching the manifest ${name}:${reference}`;
      const response = await client.send({
        method: "GET",
        target: `${name}/manifests/${reference}`,
        repository: name,
        what,
        headers: { accept: manifestTypes.join(", ") },
      });
      const manifest = await bounded(client, response, what);
      const digest = digestOfBytes(manifest);
      if (isDigest(reference) && digest !== reference) throw damaged(client, name, reference, digest);
      const mediaType = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
      return { manifest, mediaType, digest };
    },
    async referrers(repository, digest) {
      const name = place(repository);
      const found: OciDescriptor[] = [];
      let target: string | undefined = `${name}/referrers/${checkedDigest(digest)}`;
      while (target !== undefined) {
        const what = "asking for referrers";
        // Registries before v1.1 know no such route, and say so in several ways.
        const response: Response = await client.send({
          method: "GET",
          target,
          repository: name,
          what,
          allowed: [400, 404, 405],
        });
        const isIndex = response.headers.get("content-type")?.includes("json") ?? false;
        if (!response.ok || !isIndex) {
          await discard(response);
          return referrersUnderTag(repository, digest);
        }
        found.push(...readReferrers(await bounded(client, response, what)));
        const next: string | undefined = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
        target = next === undefined ? undefined : new URL(next, response.url).href;
      }
      return found;
    },
  };

  async function referrersUnderTag(repository: string, digest: Digest): Promise<OciDescriptor[]> {
    try {
      return readReferrers((await registry.getManifest(repository, referrersTag(digest))).manifest);
    } catch (error) {
      if (isEspalierError(error) && error.code === "NOT_FOUND") return [];
      throw error;
    }
  }

  /** What a client does for a registry that does not (distribution-spec v1.1, "referrers tag schema"). */
  async function addToTag(repository: string, subject: Digest, added: OciDescriptor): Promise<void> {
    const index = addReferrer(await referrersUnderTag(repository, subject), added);
    if (index !== undefined) await registry.putManifest(repository, referrersTag(subject), index, ociIndexType);
  }

  return registry;
}

async function credentialsOf(
  config: OciConfig,
  host: OciHost,
  repository: string,
): Promise<RegistryCredentials | undefined> {
  if (host.credentials !== undefined) return host.credentials;
  const { username, password_secret: name } = config;
  if (username === undefined || name === undefined) return storedCredentials(config.registry, repository);
  const secret = await host.secret?.(name);
  if (secret !== undefined) return { username, password: secret.reveal() };
  throw new EspalierError("UNAUTHENTICATED", `There is no secret ${name}`, {
    at: "packages.with",
    hint: `espalier secret set ${name}`,
  });
}

/** Names of this machine itself. */
export function isLoopback(registry: string): boolean {
  const host = new URL(`http://${registry}`).hostname;
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function repositoryIn(config: OciConfig, repository: string): string {
  const prefixed = config.prefix === undefined ? repository : `${config.prefix}/${repository}`;
  const name = config.registry === "docker.io" && !prefixed.includes("/") ? `library/${prefixed}` : prefixed;
  if (isRepositoryName(name) && isRepositoryName(repository)) return name;
  throw new EspalierError("INVALID_INPUT", `${JSON.stringify(repository)} can not be the name of a repository`, {
    hint: "Use lower-case letters and digits, parted by '/', '.', '_' or '-'.",
  });
}

function checkedDigest(digest: string): Digest {
  if (isDigest(digest)) return digest;
  throw new EspalierError("INVALID_INPUT", `${JSON.stringify(digest)} is not a digest`);
}

function checkedReference(reference: string, digest: Digest): void {
  if (reference !== digest && (!isTag(reference) || isDigest(reference))) throw noTag(reference);
}

const noTag = (text: string): EspalierError =>
  new EspalierError("INVALID_INPUT", `${JSON.stringify(text)} can not be a tag, and is no digest of this manifest`);

const damaged = (client: RegistryClient, repository: string, digest: Digest, found: string): EspalierError =>
  new EspalierError("CORRUPTED", `The registry ${client.registry} gave ${found} of ${repository} for ${digest}`, {
    hint: "What it keeps is damaged, or was changed: push the image again, and look at the registry's disk.",
  });

async function* bytesOf(client: RegistryClient, response: Response, what: string): AsyncGenerator<Uint8Array> {
  try {
    if (response.body !== null) yield* response.body;
  } catch (error) {
    throw fromRegistryFetch(error, client.registry, what);
  }
}

async function bounded(client: RegistryClient, response: Response, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of bytesOf(client, response, what)) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > largestManifestBytes) {
      throw new EspalierError(
        "TOO_LARGE",
        `The registry ${client.registry}, ${what}: more than ${largestManifestBytes} bytes`,
      );
    }
  }
  return Buffer.concat(chunks);
}
