import type { Packaging } from "@espalier/contract";
import { toEspalierError, ulid } from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { createJobList } from "../jobs/job-list.ts";
import { type ImageRequest, packageImage } from "./package-image.ts";

/** Images that this control plane makes and made. They are in no record: the image is in its registry, and making it again is quick. */
export interface Packagings {
  /** Begins, and tells of it at once; what goes wrong later is told by `get`. */
  start(request: ImageRequest, actor: string): Packaging;
  /** NOT_FOUND. */
  get(id: string): Packaging;
  follow(id: string, signal: AbortSignal): AsyncGenerator<Packaging>;
}

const toldEveryMilliseconds = 200;

export function createPackagings(plane: ControlPlane): Packagings {
  const { add, change, follow, get } = createJobList<Packaging>({
    what: "image",
    hint: "It was begun before it started: package again, nothing is sent twice.",
  });

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

  return {
    get,
    follow,
    start(request, actor) {
      const id = ulid();
      add({ id, state: "running", phase: "starting", startedBy: actor, startedAt: Date.now() });
      void drive(id, request);
      return get(id);
    },
  };
}
