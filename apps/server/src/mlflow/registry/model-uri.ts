import { invalidParameter } from "../limits.ts";

/** What `models:/...` points to. */
export type ModelUri =
  | { kind: "logged"; modelId: string }
  | { kind: "version"; name: string; version: number }
  | { kind: "alias"; name: string; alias: string }
  | { kind: "latest"; name: string; stage?: string };

/** Undefined for what is none of the forms that MLflow knows. Nothing in it is decoded. */
export function parseModelUri(uri: string): ModelUri | undefined {
  const path = /^models:\/+([^/].*)$/.exec(uri)?.[1];
  if (path === undefined || uri.startsWith("models://")) return undefined;
  const [name = "", suffix, ...more] = path.split("/");
  if (more.length > 0 || name.trim() === "") return undefined;
  if (suffix === undefined) {
    const at = name.lastIndexOf("@");
    if (at === -1) return { kind: "logged", modelId: name };
    const alias = name.slice(at + 1);
    return at === 0 || alias.trim() === "" ? undefined : { kind: "alias", name: name.slice(0, at), alias };
  }
  if (suffix.trim() === "") return undefined;
  if (/^\d{1,15}$/.test(suffix)) return { kind: "version", name, version: Number(suffix) };
  return { kind: "latest", name, ...(suffix.toLowerCase() === "latest" ? {} : { stage: suffix }) };
}

/** The path of `mlflow-artifacts:/<path>`. Refuses everything that another parser could read otherwise: hosts, escapes, dot segments. */
export function artifactPath(source: string): string {
  const path = /^mlflow-artifacts:\/([^/].*)$/.exec(source)?.[1];
  if (path === undefined) return refuseSource(source, "it names a host, or no path");
  return plainPath(source, path);
}

/** Segments as they are: a dot segment, an escape or a separator of another system is refused, however it is spelt. */
export function plainPath(source: string, path: string): string {
  const segments = path.replace(/\/$/, "").split("/");
  const decoded = decodedWhole(path);
  const isPlain = (segment: string): boolean => segment !== "" && segment !== "." && segment !== "..";
  if (!segments.every(isPlain) || !decoded.split(/[/\\]/).every((part) => part !== "..")) {
    return refuseSource(source, "an absolute path without relative parts is needed");
  }
  if (/[\\?#;\p{Cc}]/u.test(decoded)) return refuseSource(source, "its path holds a character that no path here has");
  return segments.join("/");
}

/** Decoded until nothing changes any more, so that no spelling of `..` is left over. */
function decodedWhole(text: string): string {
  for (let before = text; ; ) {
    let after: string;
    try {
      after = decodeURIComponent(before);
    } catch {
      return before;
    }
    if (after === before) return after;
    before = after;
  }
}

export function refuseSource(source: string, why: string): never {
  return invalidParameter(
    `Invalid model version source: '${source.slice(0, 500)}'. ${why[0]?.toUpperCase()}${why.slice(1)}.`,
  );
}
