import { EspalierError } from "../errors.ts";

/** What a value under `inputs:` points to; told apart by form alone, so that no literal is ever mistaken for one. */
export type Reference =
  /** `step.output` */
  | { kind: "step"; step: string; output: string }
  /** `./file` or `./folder` of the project; the path keeps its leading `./`. */
  | { kind: "file"; path: string }
  /** `dataset:name` (its newest version) or `dataset:name@version`. */
  | { kind: "dataset"; name: string; version?: string }
  /** `models:/name@alias` */
  | { kind: "model"; name: string; alias: string }
  /** `models:/name/3` or `models:/name@3` */
  | { kind: "model"; name: string; version: string }
  /** A registered source, such as `s3://bucket/prefix`. */
  | { kind: "uri"; uri: string; scheme: string };

const stepOutput = /^([a-z][a-z0-9_]{0,62})\.([a-z][a-z0-9_]{0,62})$/;
const dataset = /^dataset:([a-z0-9][a-z0-9._-]{0,62})(?:@([A-Za-z0-9][A-Za-z0-9._:-]{0,127}))?$/;
/** As wide as MLflow's clients may name models and aliases, but for `@` and space at the ends. */
const model = /^models:\/([^/:@\s](?:[^/:@]{0,254}[^/:@\s])?)(?:@([A-Za-z0-9_-][A-Za-z0-9._-]{0,254})|\/([0-9]+))$/;
const uri = /^([a-z][a-z0-9+.-]*):\/\/[^\s]+$/;

/** Throws INVALID_PIPELINE, with the forms there are, on anything else. */
export function parseReference(text: string): Reference {
  if (text.startsWith("./")) return { kind: "file", path: parseProjectPath(text) };
  const [, step, output] = stepOutput.exec(text) ?? [];
  if (step !== undefined && output !== undefined) return { kind: "step", step, output };
  const [, datasetName, datasetVersion] = dataset.exec(text) ?? [];
  if (datasetName !== undefined) {
    return { kind: "dataset", name: datasetName, ...(datasetVersion === undefined ? {} : { version: datasetVersion }) };
  }
  const [, modelName, afterAt, afterSlash] = model.exec(text) ?? [];
  if (modelName !== undefined) {
    const version = afterSlash ?? (/^[0-9]+$/.test(afterAt ?? "") ? afterAt : undefined);
    if (version !== undefined) return { kind: "model", name: modelName, version: String(Number(version)) };
    return { kind: "model", name: modelName, alias: afterAt ?? "" };
  }
  const [, scheme] = uri.exec(text) ?? [];
  if (scheme !== undefined) return { kind: "uri", uri: text, scheme };
  throw new EspalierError("INVALID_PIPELINE", `\`${text}\` is not a reference`, { hint: hintFor(text) });
}

function hintFor(text: string): string {
  if (/^(\/|~|[A-Za-z]:\\)/.test(text)) {
    return "Files are named by their path from the project's folder, such as `./data/rows.parquet`; what lies outside is registered as a dataset first.";
  }
  if (text.startsWith("../")) return "A file must lie inside the project's folder, such as `./data/rows.parquet`.";
  if (text.startsWith("models:")) return "Models are `models:/name@alias` or `models:/name/3`.";
  if (text.startsWith("dataset:")) return "Datasets are `dataset:name` or `dataset:name@version`.";
  if (/[/]|\.[a-z0-9]+$/i.test(text) && !/^\w+\.\w+$/.test(text))
    return `If it is a file of the project, write \`./${text}\`.`;
  return "Write `step.output`, `./file`, `dataset:name@version`, `models:/name@alias`, or the URI of a registered source.";
}

/** A path of the project: POSIX, with a leading `./`, and never a way out. Throws INVALID_PIPELINE. */
export function parseProjectPath(text: string): string {
  const fault = (why: string): EspalierError =>
    new EspalierError("INVALID_PIPELINE", `\`${text}\` ${why}`, {
      hint: "Paths are relative to the project's folder and begin with `./`, such as `./src`.",
    });
  if (!text.startsWith("./") && text !== ".") throw fault("is not a path of the project");
  if (text.includes("\\") || text.includes("\0")) throw fault("holds a character that paths of a project can not have");
  if (text.split("/").includes("..")) throw fault("leads out of its folder by `..`");
  const path = text.split("/").filter((segment) => segment !== "" && segment !== ".");
  return path.length === 0 ? "./" : `./${path.join("/")}`;
}

/** The reference, or undefined where the text is none. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}
