import type { Packaging } from "@espalier/contract";
import { EspalierError, toEspalierError, ulid } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { type ImageRequest, packageImage } from "./package-image.ts";

/** Images that this control plane makes and made. They are in no record: the image is in its registry, and making it again is quick. */
export interface Packagings {
  /** Begins, and tells of it at once; what goes wrong later is told by `get`. */
  start(request: ImageRequest, actor: string): Packaging;
  /** NOT_FOUND. */
  get(id: string): Packaging;
  follow(id: string, signal: AbortSignal): AsyncGenerator<Packaging>;
}

const remembered = 100;
const toldEveryMilliseconds = 200;

export function createPackagings(plane: ControlPlane): Packagings {
  const known = new Map<string, Packaging>();
  const changes = new EventTarget();

  function change(id: string, fields: Partial<Packaging>): void {
    const before = known.get(id);
    if (before === undefined) return;
    known.set(id, { ...before, ...fields });
    changes.dispatchEvent(new Event(id));
  }

  async function drive(id: string, request: ImageRequest): Promise<void> {
    let toldAt = 0;
    try {
      const result = await packageImage(plane, request, {
        phase: (phase) => change(id, { phase }),
        push: ({ what, ...sums }) => {
          if (Date.now() - toldAt < toldEveryMilliseconds) return;
          toldAt = Date.now();
          change(id, { phase: `pushing ${what}`, ...sums });
        },
      });
      change(id, { state: "done", phase: "done", result, finishedAt: Date.now() });
    } catch (thrown) {
      const error = toEspalierError(thrown);
      if (error.code === "INTERNAL") plane.logger.error({ err: thrown, packaging: id }, "an image failed");
      else plane.logger.info({ code: error.code, message: error.message, packaging: id }, "an image failed");
      change(id, { state: "failed", error: { ...error.toJSON() }, finishedAt: Date.now() });
    }
  }

  const get = (id: string): Packaging => {
    const found = known.get(id);
    if (found !== undefined) return found;
    throw new EspalierError("NOT_FOUND", `This control plane makes no image ${id}`, {
      hint: "It was begun before it started: package again, nothing is sent twice.",
    });
  };

  return {
    get,
    start(request, actor) {
      const id = ulid();
      for (const old of [...known.values()].slice(0, -remembered)) if (old.state !== "running") known.delete(old.id);
      known.set(id, { id, state: "running", phase: "starting", startedBy: actor, startedAt: Date.now() });
      void drive(id, request);
      return get(id);
    },
    follow: async function* (id, signal) {
      for (;;) {
        const changed = Promise.withResolvers<void>();
        const wake = (): void => changed.resolve();
        changes.addEventListener(id, wake, { once: true });
        signal.addEventListener("abort", wake, { once: true });
        try {
          const now = get(id);
          yield now;
          if (now.state !== "running" || signal.aborted) return;
          await changed.promise;
        } finally {
          changes.removeEventListener(id, wake);
          signal.removeEventListener("abort", wake);
        }
      }
    },
  };
}
