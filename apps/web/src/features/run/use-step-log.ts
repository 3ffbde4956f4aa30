import type { LogChunk } from "@espalier/contract";
import { useCallback, useEffect, useState } from "react";
import { client } from "../../api/client.ts";
import { append, firstOffset, firstPart, type LogPart, pageBytes, prepend } from "./log-pages.ts";

const growthMilliseconds = 1_000;
const repairMilliseconds = 5_000;

export interface StepLogPlace {
  runId: string;
  step: string;
  branch: number;
  attempt: number;
}

/** The tail of an attempt's log, followed while it grows; earlier pages on request. After an error it goes on by itself. */
export function useStepLog({ runId, step, branch, attempt }: StepLogPlace) {
  const [part, setPart] = useState<LogPart>();
  const [error, setError] = useState<unknown>();
  const [isReadingEarlier, setReadingEarlier] = useState(false);

  const read = useCallback(
    (offset: number, signal?: AbortSignal) =>
      client.call("logs.get", {
        params: { runId, step },
        query: { branch, attempt, offset },
        ...(signal === undefined ? {} : { signal }),
      }),
    [runId, step, branch, attempt],
  );

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let next: number | undefined;
    setPart(undefined);
    setError(undefined);
    const turn = async (): Promise<void> => {
      let wait = growthMilliseconds;
      try {
        let chunk: LogChunk;
        if (next === undefined) {
          // One byte from the end tells how long the log is.
          const start = firstOffset((await read(-1, stop.signal)).next);
          chunk = await read(start, stop.signal);
          setPart(firstPart(start, chunk));
        } else {
          chunk = await read(next, stop.signal);
          const added = chunk;
          // Onto what is there by now: earlier lines may have come in front meanwhile.
          setPart((now) => (now === undefined ? now : append(now, added)));
        }
        next = chunk.next;
        setError(undefined);
        if (chunk.ended) return;
      } catch (problem) {
        if (stop.signal.aborted) return;
        setError(problem);
        wait = repairMilliseconds;
      }
      timer = setTimeout(() => void turn(), wait);
    };
    void turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [read]);

  const readEarlier = async (): Promise<void> => {
    if (part === undefined || part.start === 0) return;
    const start = Math.max(0, part.start - pageBytes);
    setReadingEarlier(true);
    try {
      const { text } = await read(start);
      setPart((now) => (now?.start === part.start ? prepend(now, start, text) : now));
      setError(undefined);
    } catch (problem) {
      setError(problem);
    } finally {
      setReadingEarlier(false);
    }
  };

  return { part, error, readEarlier, isReadingEarlier };
}
