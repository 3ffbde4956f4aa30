import { randomBytes } from "node:crypto";
import type { DoctorReport } from "@espalier/contract";
import { type ArtifactStore, toEspalierError, ulid } from "@espalier/core";
import { type OpenStack, openStack } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";

type Check = DoctorReport["checks"][number];

/** Tools are asked, and a store is written to, read back and cleaned: what is only looked at may still refuse the first run. */
export async function toolChecks(plane: ControlPlane, stackName: string): Promise<Check[]> {
  const opened = stackName === plane.stack.name ? undefined : await openStack(plane.project, stackName);
  const stack = opened ?? plane.stack;
  try {
    const checks = [await storeCheck(stack, stackName)];
    for (const compute of Object.keys(plane.project.stacks[stackName]?.compute ?? {})) {
      checks.push(await computeCheck(stack, stackName, compute));
    }
    return checks;
  } finally {
    await opened?.close();
  }
}

async function storeCheck(stack: OpenStack, stackName: string): Promise<Check> {
  const at = `stacks.${stackName}.artifacts`;
  try {
    const milliseconds = await probeStore(stack.artifactStore);
    return { name: "store", status: "ok", message: `writes, reads back and deletes, in ${milliseconds} ms`, at };
  } catch (thrown) {
    const { code, message, hint } = toEspalierError(thrown);
    return {
      name: "store",
      status: "fail",
      at,
      message: `${code}: ${message}`,
      means: "No step can bring its outputs; nothing is lost meanwhile, runs fail and can be resumed.",
      hint: hint ?? hints[code] ?? "Mend what the message names, then: espalier doctor",
    };
  }
}

const hints: Readonly<Record<string, string>> = {
  PERMISSION_DENIED: "Allow what `espalier plan` lists under `allow`, or give other credentials.",
  DISK_FULL: "`espalier gc` previews what can go.",
  UNREACHABLE: "Is the address right, and the server up?",
};

/** Write, read back, compare, delete; what it took, milliseconds. The key is below `probe/`, which holds nothing else. */
async function probeStore(store: ArtifactStore): Promise<number> {
  const started = performance.now();
  const key = `probe/${ulid().toLowerCase()}`;
  const bytes = randomBytes(64);
  try {
    await store.put(
      key,
      (async function* () {
        yield bytes;
      })(),
      { size: bytes.length },
    );
    const chunks: Uint8Array[] = [];
    for await (const chunk of await store.get(key)) chunks.push(chunk);
    if (!Buffer.concat(chunks).equals(bytes)) throw new Error("it gives back other bytes than it was given");
  } finally {
    await store.delete(key);
  }
  return Math.round(performance.now() - started);
}

async function computeCheck(stack: OpenStack, stackName: string, compute: string): Promise<Check> {
  const name = `compute ${compute}`;
  const at = `stacks.${stackName}.compute.${compute}`;
  try {
    const { runner, tool } = await stack.runnerFor({ compute });
    if (runner.look === undefined) return { name, status: "ok", message: `${tool}: this machine`, at };
    return { name, status: "ok", message: `${tool}: ${await runner.look()}`, at };
  } catch (thrown) {
    const { code, message, hint } = toEspalierError(thrown);
    return {
      name,
      status: "fail",
      at,
      message: `${code}: ${message}`,
      means: "Steps that ask for this compute can not start, and those that run there can not be watched.",
      hint: hint ?? hints[code] ?? "Mend what the message names, then: espalier doctor",
    };
  }
}
