import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A project on disk that finds this workspace's packages. */
export async function temporaryProject(
  files: Readonly<Record<string, string>>,
): Promise<{ directory: string; close(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "espalier-project-"));
  await symlink(fileURLToPath(new URL("../../../../node_modules", import.meta.url)), join(directory, "node_modules"));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return { directory, close: () => rm(directory, { recursive: true, force: true }) };
}
