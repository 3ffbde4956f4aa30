import { useEffect, useState } from "react";
import { ago, exactInstant } from "./words.ts";

/** Renders again every so often, so that "just now" does not stay. */
export function useNow(everyMilliseconds = 10_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMilliseconds);
    return () => clearInterval(timer);
  }, [everyMilliseconds]);
  return now;
}

/** How long ago, in the reader's words; the exact instant on hover, and for screen readers by `datetime`. */
export function Instant({ at, className }: { at: number | string; className?: string }) {
  const now = useNow();
  const instant = typeof at === "string" ? Date.parse(at) : at;
  const exact = exactInstant(instant);
  return (
    <time dateTime={exact} title={exact} className={`whitespace-nowrap ${className ?? ""}`}>
      {ago(instant, now)}
    </time>
  );
}
