import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const portsSchema = z.array(z.int().min(1).max(65_535));
const mostPorts = 8;
const pathOf = (stateFolder: string): string => join(stateFolder, "ports.json");

/** Ports at which steps that still run may look for the control plane, the newest first. */
export async function readKnownPorts(stateFolder: string): Promise<number[]> {
  try {
    return portsSchema.parse(JSON.parse(await readFile(pathOf(stateFolder), "utf8")));
  } catch {
    // Never written, or half of it in a crash of the machine: steps then see a new address, as they would after a move.
    return [];
  }
}

/** Whole or not at all. */
export async function writeKnownPorts(stateFolder: string, ports: readonly number[]): Promise<void> {
  const temporary = `${pathOf(stateFolder)}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify([...new Set(ports)].slice(0, mostPorts)));
  await rename(temporary, pathOf(stateFolder));
}
