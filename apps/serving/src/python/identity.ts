import { stat } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { EspalierError } from "@espalier/core";

/** Debian's, Alpine's and Red Hat's nobody. */
const nobody = { uid: 65534, gid: 65534 };

export interface WorkerIdentity {
  /** Absent: the worker runs as the user that this process is. */
  user?: { uid: number; gid: number };
  /** One line for the log. */
  said: string;
}

/** Models bring code of their own, so a worker never runs as root; there is no other user to change to without being root. */
export function workerIdentity(): WorkerIdentity {
  const uid = process.geteuid?.();
  if (uid === 0)
    return { user: nobody, said: `Python workers run as user ${nobody.uid}, since this process is root's` };
  return {
    said: `Python workers run as the model server's own user${uid === undefined ? "" : ` (${uid})`}, with no more rights`,
  };
}

/** What the worker's user must be able to enter. Errors: NOT_FOUND, PERMISSION_DENIED naming the folder. */
export async function checkReadable(path: string, what: string, user: WorkerIdentity["user"]): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new EspalierError("NOT_FOUND", `${what} ${path} is not there`, { at: path, cause });
  });
  if (user === undefined) return;
  const needed = found.isDirectory() ? 0o005 : 0o004;
  if (found.uid === user.uid || (found.mode & needed) === needed) return;
  throw new EspalierError("PERMISSION_DENIED", `${what} ${path} can be read by its owner alone`, {
    at: path,
    hint: `The worker runs as user ${user.uid} and not as root: \`chmod -R o+rX ${path}\`, or start the server as an ordinary user.`,
  });
}

/** The folder of an environment from its program: `<folder>/bin/python`. */
export function environmentFolder(python: string): string {
  const path = resolve(python);
  return path.split(sep).length > 3 ? dirname(dirname(path)) : dirname(path);
}
