import type { Move } from "@espalier/contract";
import {
  claimStore,
  copyArtifacts,
  damagedAmong,
  EspalierError,
  keysHeldBy,
  toEspalierError,
  ulid,
  verifyStore,
} from "@espalier/core";
import type { ControlPlane } from "../control-plane.ts";
import { createJobList } from "../jobs/job-list.ts";
import { sameStore } from "../runs/bring-artifacts.ts";
import { recordedArtifacts, requireOurs, requireStacks, withStack } from "./plan-move.ts";

export interface MoveRequest {
  from: string;
  to: string;
  verify: "sample" | "all";
}

export interface Moves {
  /** Goes on by what the target holds. CONFLICT while one to the same stack is under way. */
  start(request: MoveRequest, actor: string): Move;
  get(id: string): Move;
  follow(id: string, signal: AbortSignal): AsyncGenerator<Move>;
}

const toldEveryMilliseconds = 200;
const sampledObjects = 200;
/** What ends while we copy comes on record meanwhile: passes go on until one finds nothing new. */
const mostPasses = 10;

export function createMoves(plane: ControlPlane): Moves {
  const jobs = createJobList<Move>({
    what: "move",
    hint: "It was begun before it started: the same command goes on where it was.",
  });

  async function drive(id: string, request: MoveRequest): Promise<void> {
    try {
      const ended = await move(id, request);
      const whole = ended.failed === 0 && ended.damaged.length === 0;
      jobs.change(id, { ...ended, state: whole ? "done" : "damaged", phase: "done", finishedAt: Date.now() });
    } catch (thrown) {
      const error = toEspalierError(plane.closing.aborted ? closed(thrown) : thrown);
      if (error.code === "INTERNAL") plane.logger.error({ err: thrown, move: id }, "a move failed");
      jobs.change(id, { state: "failed", error: { ...error.toJSON() }, finishedAt: Date.now() });
    }
  }

  async function move(id: string, { from, to, verify }: MoveRequest): Promise<Pick<Move, "failed" | "damaged">> {
    const { project, record } = plane;
    if (sameStore(project, from, to)) return { failed: 0, damaged: [] };
    return withStack(plane, from, (source) =>
      withStack(plane, to, async (target) => {
        const database = await record.settings.databaseId();
        await requireOurs(target.artifactStore, database, to);
        await claimStore(target.artifactStore, database);
        jobs.change(id, { phase: "looking at what is there" });
        const held = await keysHeldBy(target.artifactStore);
        const before = new Set(held);
        let failed = 0;
        for (let pass = 1; pass <= mostPasses; pass += 1) {
          const sums = jobs.get(id);
          let toldAt = 0;
          const report = await copyArtifacts(source.artifactStore, target.artifactStore, recordedArtifacts(plane), {
            held,
            signal: plane.closing,
            onProgress: (now) => {
              if (Date.now() - toldAt < toldEveryMilliseconds) return;
              toldAt = Date.now();
              jobs.change(id, {
                phase: "copying",
                artifacts: now.artifacts,
                objects: sums.objects + now.objects,
                bytes: sums.bytes + now.bytes,
              });
            },
          });
          failed = report.failed;
          jobs.change(id, {
            artifacts: report.artifacts,
            objects: sums.objects + report.objects,
            bytes: sums.bytes + report.bytes,
            held: pass === 1 ? report.held : sums.held,
            failed,
            failures: report.failures,
          });
          if (report.objects === 0) break;
        }
        jobs.change(id, { phase: verify === "all" ? "reading all of it back" : "reading a sample back" });
        return {
          failed,
          damaged: await damagedIn(
            id,
            target.artifactStore,
            verify,
            [...held].filter((key) => !before.has(key)),
          ),
        };
      }),
    );
  }

  async function damagedIn(
    id: string,
    store: Parameters<typeof damagedAmong>[0],
    verify: MoveRequest["verify"],
    brought: readonly string[],
  ): Promise<string[]> {
    if (verify === "all") {
      const named = async function* () {
        for await (const ref of recordedArtifacts(plane)) yield { name: `${ref.type} ${ref.digest}`, ref };
      };
      const report = await verifyStore(store, named(), (objects) => jobs.change(id, { verified: objects }));
      return report.damages.map(({ key }) => key);
    }
    const step = Math.max(1, Math.floor(brought.length / sampledObjects));
    const sample = brought.filter((_, index) => index % step === 0);
    const damaged = await damagedAmong(store, sample);
    jobs.change(id, { verified: sample.length });
    return damaged;
  }

  return {
    get: jobs.get,
    follow: jobs.follow,
    start(request, actor) {
      requireStacks(plane.project, request.from, request.to);
      const other = jobs.running().find(({ to }) => to === request.to);
      if (other !== undefined) {
        throw new EspalierError("CONFLICT", `A move to ${request.to} is under way`, {
          details: { move: other.id },
          hint: "Wait for its end; two would send everything twice.",
        });
      }
      const started: Move = {
        id: ulid(),
        from: request.from,
        to: request.to,
        state: "running",
        phase: "starting",
        artifacts: 0,
        held: 0,
        objects: 0,
        bytes: 0,
        failed: 0,
        failures: [],
        verified: 0,
        damaged: [],
        startedBy: actor,
        startedAt: Date.now(),
      };
      jobs.add(started);
      void drive(started.id, request);
      return started;
    },
  };
}

function closed(cause: unknown): EspalierError {
  return new EspalierError("CANCELLED", "The control plane closed in the middle of the move", {
    cause,
    hint: "The same command goes on where it was.",
  });
}
