import { renameSync, writeFileSync } from "node:fs";
import type { Announcement } from "@espalier/core";

/** Replaced by rename, so that a reader sees the whole file or none. */
export function announce(file: string | undefined, announcement: Announcement): void {
  if (file === undefined) return;
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(announcement));
  renameSync(temporary, file);
}
