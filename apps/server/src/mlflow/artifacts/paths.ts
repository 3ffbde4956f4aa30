import { mlflowError } from "../mlflow-error.ts";

/** Bytes of UTF-8. A whole path is a key of an index; a segment must fit onto any disk that it is downloaded to. */
const longestPath = 1024;
const longestSegment = 255;
const mostRounds = 10;

/**
 * The one parser of artifact paths; `text` as its URL, query or body gave it, decoded once. What it returns is the only form under which a
 * file is looked for.
 *
 * MLflow's clients decode the names of a listing until nothing changes, and ask for a file under that form, so it is the form here as well:
 * escapes that are left are decoded, bytes that are not UTF-8 become U+FFFD, control characters their escapes. An escape within an escape
 * never becomes a character with a meaning (a separator, `#`, `?`): it becomes U+FFFD too. MLflow 2's `log_image` makes such names.
 *
 * INVALID_PARAMETER_VALUE: empty, absolute, too long, a backslash, `#`, `?` or NUL as they are, and dot segments in whatever disguise.
 */
export function artifactPath(text: string): string {
  // Clients end the path of a folder with a slash.
  const plain = text.endsWith("/") ? text.slice(0, -1) : text;
  if (plain.length > longestPath * 4) throw invalidPath(`it is longer than ${longestPath} bytes`);
  if (/[\\#?\0]/.test(plain)) throw invalidPath("it holds a backslash, '#', '?' or NUL");
  if (!plain.isWellFormed()) throw invalidPath("it is not Unicode");
  if (hasDotSegment(decodeFully(plain, (decoded) => decoded))) throw invalidPath("it has a segment '.' or '..'");
  const path = decodeFully(plain, (decoded) => decoded.replaceAll(/[/\\#?\0]/g, "\uFFFD")).replaceAll(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\u0000-\u001f\u007f]/g,
    (control) => `%${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  const segments = path.split("/");
  if (segments.includes("")) throw invalidPath("it has an empty segment");
  if (hasDotSegment(path)) throw invalidPath("it has a segment '.' or '..'");
  if (/^[a-z]:$/i.test(segments[0] ?? "")) throw invalidPath("it begins with a drive");
  if (Buffer.byteLength(path) > longestPath) throw invalidPath(`it is longer than ${longestPath} bytes`);
  if (segments.some((segment) => Buffer.byteLength(segment) > longestSegment)) {
    throw invalidPath(`a segment is longer than ${longestSegment} bytes`);
  }
  return path;
}

/** As `artifactPath`; left out or empty it is the root. */
export function folderPath(text: string | undefined): string {
  return text === undefined || text === "" || text === "/" ? "" : artifactPath(text);
}

/** The path at the end of a request's URL, behind `prefix`. Nothing else looks into that part: two parsers would disagree. */
export function pathOfUrl(url: string, prefix: string): string {
  const start = url.indexOf(prefix);
  if (start === -1) throw invalidPath("the URL before it is escaped");
  const rest = url.slice(start + prefix.length);
  const query = rest.search(/[?#]/);
  if (query !== -1 && query < rest.length - 1) throw invalidPath("a query follows it");
  return artifactPath(decodeOnce(query === -1 ? rest : rest.slice(0, query), (decoded) => decoded));
}

/** A path inside a folder; both canonical. */
export function joinPaths(folder: string, path: string): string {
  return folder === "" ? path : path === "" ? folder : `${folder}/${path}`;
}

/** As Python's `unquote`: what is no escape stays as it is. */
function decodeOnce(text: string, clean: (decoded: string) => string): string {
  return text.replaceAll(/(?:%[0-9a-fA-F]{2})+/g, (escapes) =>
    clean(Buffer.from(escapes.replaceAll("%", ""), "hex").toString("utf8")),
  );
}

function decodeFully(text: string, clean: (decoded: string) => string): string {
  let current = text;
  for (let round = 0; round < mostRounds; round += 1) {
    const decoded = decodeOnce(current, clean);
    if (decoded === current) return decoded;
    current = decoded;
  }
  throw invalidPath("it is escaped too often");
}

/** Whatever may stand between two segments for somebody who reads the path later. */
function hasDotSegment(text: string): boolean {
  return text.split(/[/\\;#?\0]/).some((segment) => segment === "." || segment === "..");
}

function invalidPath(why: string): Error {
  return mlflowError("INVALID_PARAMETER_VALUE", `Invalid path: ${why}`);
}
