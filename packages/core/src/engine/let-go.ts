import { isEspalierError } from "../errors.ts";
import type { EngineRecord } from "../record/engine-record.ts";

/** The reason of the `letGo` signal: another process drives the run now, or this engine stops. Nothing more may be done for the run. */
export class LetGo extends Error {
  constructor(why: string) {
    super(why);
    this.name = "LetGo";
  }
}

type Writes = Pick<EngineRecord, "moveRun" | "moveStep" | "createBranches" | "createAttempt" | "moveAttempt">;

/**
 * The writes of one run under its lease. CONFLICT means that the lease is lost: it lets go of the run at once. So does a record that can
 * not be written (a full disk): going on would do work that nobody knows of; the run is claimed again when its lease has run out.
 */
export function leasedWrites(record: EngineRecord, letGo: AbortController): Writes {
  const guard = async (write: () => Promise<void>): Promise<void> => {
    letGo.signal.throwIfAborted();
    try {
      await write();
    } catch (error) {
      const conflict = isEspalierError(error) && error.code === "CONFLICT";
      letGo.abort(conflict ? new LetGo(`The lease of the run is lost: ${error.message}`) : error);
      throw letGo.signal.reason;
    }
  };
  return {
    moveRun: (...call) => guard(() => record.moveRun(...call)),
    moveStep: (...call) => guard(() => record.moveStep(...call)),
    createBranches: (...call) => guard(() => record.createBranches(...call)),
    createAttempt: (...call) => guard(() => record.createAttempt(...call)),
    moveAttempt: (...call) => guard(() => record.moveAttempt(...call)),
  };
}
