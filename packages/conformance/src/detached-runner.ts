import { execFileSync } from "node:child_process";
import { chmod, chown, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EspalierError, type StepRunner } from "@espalier/core";

const nobody = 65534;
/** Not the control plane's: the other machine knows nothing of it, and its user may not enter every folder on it. */
const path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const asNobody = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];

export interface DetachedRunnerOptions {
  /** Runs the launcher's process; the embedded process runner. */
  inner: StepRunner;
  /** Path of `python/launcher.py`. */
  launcher: string;
  /** Folder that stands for the other machine. */
  folder: string;
  /** Programs that the other machine has besides its system's. */
  binFolder?: string;
}

/** Why steps can not be detached here; undefined when they can. */
export function whyNotDetached(): string | undefined {
  if (process.getuid?.() !== 0) return "starting a step as another user needs root";
  const [program = "", ...args] = [...asNobody, "python3", "--version"];
  try {
    execFileSync(program, args, { stdio: "ignore", env: { PATH: path } });
  } catch {
    return "setpriv and a python3 that every user may run are not installed";
  }
  return undefined;
}

/**
 * A machine of its own, as far as one machine can play two: each step runs as another user, in an empty folder with nothing but the launcher,
 * and reaches the control plane by HTTP alone. It keeps honest what a remote tool needs, before there is one.
 */
export function createDetachedRunner({ inner, launcher, folder, binFolder }: DetachedRunnerOptions): StepRunner {
  return {
    sharesFiles: false,
    async submit(spec) {
      const { work } = spec;
      if (work.kind !== "remote") throw new EspalierError("INTERNAL", "The detached runner takes remote work");
      const attemptDirectory = join(folder, spec.attemptId);
      const home = join(attemptDirectory, "home");
      await mkdir(home, { recursive: true });
      // The step's user must be able to pass through, and to read nothing on the way.
      await chmod(folder, 0o711);
      await chmod(attemptDirectory, 0o711);
      await copyFile(launcher, join(home, "launcher.py"));
      await chown(home, nobody, nobody);
      return inner.submit({
        ...spec,
        work: {
          kind: "local",
          command: `exec ${asNobody.join(" ")} python3 launcher.py "$MANIFEST_URL"`,
          workingDirectory: home,
          attemptDirectory,
          variables: {
            PATH: binFolder === undefined ? path : `${binFolder}:${path}`,
            HOME: home,
            ESPALIER_WORK: home,
            ESPALIER_TOKEN: work.token,
            MANIFEST_URL: work.manifestUrl,
          },
        },
      });
    },
    status: (handle, context) => inner.status(handle, context),
    logs: (handle, offset, context) => inner.logs(handle, offset, context),
    // The launcher kills its step after the grace period itself; killed first, it could not.
    cancel: (handle, graceSeconds, context) => inner.cancel(handle, graceSeconds + 15, context),
    ...(inner.wait ? { wait: inner.wait.bind(inner) } : {}),
  };
}
