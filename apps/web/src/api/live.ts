import type { ChangeEvent } from "@espalier/contract";
import { useEffect } from "react";
import { queryClient } from "./query-client.ts";
import { isTouched } from "./topics.ts";

/** What changes often is asked for again at most so often: a list of many pages is as many questions. */
const mostOftenMilliseconds = 1_000;
/** While the stream is away, a proxy or a server that starts anew, everything in sight is asked again so often. */
const fallbackMilliseconds = 5_000;

/**
 * Pages follow the control plane: it tells what changed, and queries in sight are asked again. The browser comes back by itself, with the id of
 * the last event, so that what changed while a server was away is told too. A hidden tab holds no connection.
 */
export function useLive(isSignedIn: boolean): void {
  useEffect(() => {
    if (!isSignedIn) return;
    let stream: EventSource | undefined;
    let after: string | undefined;
    let fallback: ReturnType<typeof setInterval> | undefined;
    let pause: ReturnType<typeof setTimeout> | undefined;
    const waiting = new Set<ChangeEvent["changed"][number]>();
    const askAgain = (): void => {
      pause = undefined;
      const topics = [...waiting];
      waiting.clear();
      if (topics.length === 0) return;
      void queryClient.invalidateQueries({ predicate: ({ queryKey }) => isTouched(queryKey, topics) });
      pause = setTimeout(askAgain, mostOftenMilliseconds);
    };
    const polls = (should: boolean): void => {
      clearInterval(fallback);
      fallback = should ? setInterval(() => void queryClient.invalidateQueries(), fallbackMilliseconds) : undefined;
    };
    const close = (): void => {
      stream?.close();
      stream = undefined;
      polls(false);
    };
    const open = (): void => {
      const query = after === undefined ? "" : `?${new URLSearchParams({ after })}`;
      stream = new EventSource(`/api/v1/events/stream${query}`);
      stream.onopen = () => polls(false);
      stream.onmessage = ({ data, lastEventId }) => {
        after = lastEventId;
        for (const topic of (JSON.parse(data) as ChangeEvent).changed) waiting.add(topic);
        if (pause === undefined) askAgain();
      };
      stream.onerror = () => polls(true);
    };
    const onVisibility = (): void => {
      if (document.hidden) close();
      else if (stream === undefined) open();
    };
    onVisibility();
    document.addEventListener("visibilitychange", onVisibility);
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(pause);
      close();
    };
  }, [isSignedIn]);
}
