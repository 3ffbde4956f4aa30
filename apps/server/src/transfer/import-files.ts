import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  EspalierError,
  type SourceModel,
  type SourceRun,
  type TrackedFile,
  type TrackedSource,
  ulid,
} from "@espalier/core";
import type { TransferCounts } from "../db/queries/transfer/transfers.ts";
import type { TransferContext } from "./transfer-port.ts";

const filesAtOnce = 8;

/**
 * Brings the files of a run or a logged model, below `root` of our artifact proxy. `done` of them, in the source's order, are here from
 * an earlier try; `reached` is told how many are by now.
 */
export async function importFiles(
  context: TransferContext,
  source: TrackedSource,
  owner: SourceRun | SourceModel,
  root: string,
  done: { files: number; bytes: number },
  reached: (counts: TransferCounts) => Promise<void>,
): Promise<{ files: number; bytes: number }> {
  await mkdir(context.spoolDirectory, { recursive: true });
  const total = { files: 0, bytes: 0 };
  let some: TrackedFile[] = [];
  let untold = 0;
  const flush = async (): Promise<void> => {
    const taken = await Promise.all(some.map((file) => takeIn(context, file)));
    some = [];
    await context.record.transferRows.putFiles(
      taken.map(({ path, digest, size }) => ({ path: `${root}/${path}`, digest, size, createdBy: context.actor })),
    );
    total.files += taken.length;
    untold += taken.length;
    for (const { size } of taken) total.bytes += size;
    context.progress.files += taken.length;
    context.progress.bytes += taken.reduce((sum, { size }) => sum + size, 0);
    context.changed();
    if (untold >= 100) {
      untold = 0;
      await reached(total);
    }
  };
  let index = 0;
  for await (const file of source.files(owner)) {
    context.signal.throwIfAborted();
    index += 1;
    if (index <= done.files) continue;
    if (index === done.files + 1) Object.assign(total, done);
    some.push(file);
    if (some.length === filesAtOnce) await flush();
  }
  if (some.length > 0) await flush();
  return index === done.files ? done : total;
}

async function takeIn(
  { artifacts, spoolDirectory }: TransferContext,
  file: TrackedFile,
): Promise<{ path: string; digest: string; size: number }> {
  requireSafePath(file.path);
  const { digest, size } = await artifacts.putStream(await file.open(), {
    spoolPath: join(spoolDirectory, ulid()),
    ...(file.size === undefined ? {} : { size: file.size }),
  });
  return { path: file.path, digest, size };
}

function requireSafePath(path: string): void {
  const segments = path.split("/");
  if (!path.includes("\0") && segments.every((part) => part !== "" && part !== "." && part !== "..")) return;
  throw new EspalierError(
    "INVALID_DATA",
    `A file of the source has the path ${JSON.stringify(path)}, which leads elsewhere`,
  );
}
