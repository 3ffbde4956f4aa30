import { type Digest, isDigest } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";

/** Where an image is: `registry.example.com:5000/team/flights:3@sha256:...`. */
export interface ImageReference {
  /** Host, with its port where one is given. */
  registry: string;
  repository: string;
  tag?: string;
  digest?: Digest;
}

const segment = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const repositoryPattern = new RegExp(`^${segment}(?:/${segment})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;

/** The names that the OCI distribution specification allows. */
export function isRepositoryName(name: string): boolean {
  return name.length <= 255 && repositoryPattern.test(name);
}

export function isTag(tag: string): boolean {
  return tagPattern.test(tag);
}

/** INVALID_INPUT, with what is wrong. The registry has to be said: no registry is taken for granted. */
export function parseImageReference(text: string): ImageReference {
  const [named = "", digest, ...more] = text.split("@");
  const slash = named.indexOf("/");
  const registry = slash < 0 ? "" : named.slice(0, slash);
  const isHost = /[.:]/.test(registry) || registry === "localhost";
  if (more.length > 0 || !isHost || !hostPattern.test(registry)) {
    throw invalid(text, "does not begin with a registry's host");
  }
  const rest = named.slice(slash + 1);
  const colon = rest.lastIndexOf(":");
  const repository = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (!isRepositoryName(repository)) throw invalid(text, `has ${JSON.stringify(repository)} for a repository`);
  if (tag !== undefined && !isTag(tag)) throw invalid(text, `has ${JSON.stringify(tag)} for a tag`);
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, `has ${JSON.stringify(digest)} for a digest`);
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

export function printImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

function invalid(text: string, why: string): EspalierError {
  return new EspalierError("INVALID_INPUT", `"${text}" is not an image's name: it ${why}`, {
    hint: "Write host[:port]/repository[:tag], in lower case, such as registry.example.com/team/flights:3.",
  });
}
