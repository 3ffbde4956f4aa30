import { EspalierError, type TrackedTags } from "@espalier/core";
import type { z } from "zod";
import type { StoreFolder } from "./store-folder.ts";

/** One file a key, its content the value; a key with slashes lies in folders. */
export async function texts(folder: StoreFolder, path: string): Promise<TrackedTags> {
  const found: Record<string, string> = {};
  for await (const file of folder.files(path)) found[file.path] = await folder.text(`${path}/${file.path}`);
  return found;
}

export async function metaOf<Schema extends z.ZodType>(
  folder: StoreFolder,
  path: string,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const meta = await folder.yaml(path);
  if (meta === undefined) throw noMeta(folder, path.slice(0, -"/meta.yaml".length));
  return checked(folder, path, schema, meta);
}

export function checked<Schema extends z.ZodType>(
  folder: StoreFolder,
  path: string,
  schema: Schema,
  value: unknown,
): z.infer<Schema> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new EspalierError(
    "INVALID_DATA",
    `${folder.path}/${path} is damaged: ${issue?.path.join(".")}: ${issue?.message}`,
    {
      at: `${folder.path}/${path}`,
    },
  );
}

export function noMeta(folder: StoreFolder, place: string): EspalierError {
  return new EspalierError("INVALID_DATA", `${folder.path}/${place} has no meta.yaml: it was written by half`, {
    at: `${folder.path}/${place}`,
    hint: "Remove that folder, or copy the store again.",
  });
}
