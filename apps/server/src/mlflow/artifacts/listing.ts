import type { FolderEntry } from "../../db/queries/files.ts";
import { mlflowError } from "../mlflow-error.ts";
import type { ArtifactFolders } from "./folders.ts";
import { joinPaths } from "./paths.ts";

/** Names in one answer that a client can not ask the rest of. */
const mostNames = 100_000;
const mostNamesOfAPage = 10_000;

export interface FileDocument {
  path: string;
  is_dir: boolean;
  file_size?: number;
}

/** `is_dir` is always there: MLflow's client looks for it. */
function fileDocument(prefix: string, { name, isFolder, size }: FolderEntry): FileDocument {
  const document = { path: joinPaths(prefix, name), is_dir: isFolder };
  return size === undefined ? document : { ...document, file_size: size };
}

/** Everything in one folder. */
export async function wholeFolder(folders: ArtifactFolders, folder: string): Promise<FileDocument[]> {
  const files: FileDocument[] = [];
  let after: string | undefined;
  do {
    const page = await folders.list(folder, mostNamesOfAPage, after);
    for (const entry of page.entries) files.push(fileDocument("", entry));
    if (files.length > mostNames) {
      throw mlflowError("INVALID_PARAMETER_VALUE", `The folder has more than ${mostNames} entries: list it in pages`);
    }
    after = page.next;
  } while (after !== undefined);
  return files;
}

/** One page of a folder below `root`, with paths relative to that. */
export async function pageOfFolder(
  folders: ArtifactFolders,
  root: string,
  path: string,
  token: string | undefined,
): Promise<{ files?: FileDocument[]; next_page_token?: string }> {
  const after = token === undefined || token === "" ? undefined : Buffer.from(token, "base64url").toString("utf8");
  const { entries, next } = await folders.list(joinPaths(root, path), mostNamesOfAPage, after);
  const files = entries.map((entry) => fileDocument(path, entry));
  return {
    ...(files.length === 0 ? {} : { files }),
    ...(next === undefined ? {} : { next_page_token: Buffer.from(next).toString("base64url") }),
  };
}
