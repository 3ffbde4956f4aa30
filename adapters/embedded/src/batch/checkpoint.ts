import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson } from "@espalier/core";
import { emptyFolder } from "./scored-files.ts";
import type { Unit } from "./units.ts";

/** What one unit came to; its presence says that the unit's files are whole. */
export interface UnitOutcome {
  rows: number;
  rejected: number;
  /** Rejected rows by column; "" where the model itself failed. */
  rejectedBy: Record<string, number>;
  notFinite: number;
}

/** The folder where finished units outlive the attempt that wrote them. */
export class Checkpoint {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** What another plan left (other data, another model, other settings) is thrown away. */
  static async open(folder: string, plan: unknown): Promise<Checkpoint> {
    const text = canonicalJson(plan);
    const path = join(folder, "plan.json");
    if ((await readIfThere(path)) !== text) {
      await emptyFolder(join(folder, "units"));
      await writeWhole(path, text);
    }
    await mkdir(join(folder, "units"), { recursive: true });
    return new Checkpoint(folder);
  }

  async outcome(unit: Unit): Promise<UnitOutcome | undefined> {
    const text = await readIfThere(this.#path(unit));
    return text === undefined ? undefined : (JSON.parse(text) as UnitOutcome);
  }

  async finish(unit: Unit, outcome: UnitOutcome): Promise<void> {
    await writeWhole(this.#path(unit), canonicalJson(outcome));
  }

  #path(unit: Unit): string {
    return join(this.folder, "units", `${unit.index}.json`);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.partial`, text);
  await rename(`${path}.partial`, path);
}
