import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button, fieldClass } from "../../ui/button.tsx";
import { Section } from "../../ui/facts.tsx";
import { Loading, Problem } from "../../ui/states.tsx";
import { bytes, plural } from "../../ui/words.ts";
import { find, plainLine } from "./log-pages.ts";
import { type StepLogPlace, useStepLog } from "./use-step-log.ts";

const lineHeight = 20;

/** The log of one attempt: only what is in sight is rendered, and the end is followed until the reader scrolls up. */
export function StepLog(place: StepLogPlace) {
  const { part, error, readEarlier, isReadingEarlier } = useStepLog(place);
  const [words, setWords] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const [at, setAt] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const lines = part?.lines ?? [];
  const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 30,
  });
  const found = useMemo(() => find(lines, words), [lines, words]);
  const marked = found[at % Math.max(1, found.length)];

  useEffect(() => {
    if (isFollowing && count > 0) virtual.scrollToIndex(count - 1, { align: "end" });
  }, [isFollowing, count, virtual]);

  const show = (index: number): void => {
    setAt(index);
    const line = found[index % Math.max(1, found.length)];
    if (line === undefined) return;
    setFollowing(false);
    virtual.scrollToIndex(line, { align: "center" });
  };
  const earlier = async (): Promise<void> => {
    const before = count;
    setFollowing(false);
    await readEarlier();
    // What was in sight stays there: the lines that came in front of it are scrolled over.
    requestAnimationFrame(() => virtual.scrollToOffset((virtual.options.count - before) * lineHeight));
  };

  return (
    <Section
      title={part === undefined || part.ended ? "Log" : "Log, as it grows"}
      aside={
        count > 0 && (
          <div className="flex flex-wrap items-center gap-2 text-[13px] text-muted">
            <form
              onSubmit={(event) => {
                event.preventDefault();
                show(marked === undefined ? 0 : at + 1);
              }}
            >
              <input
                type="search"
                aria-label="Find in the log"
                placeholder="Find"
                value={words}
                onChange={(event) => {
                  setWords(event.target.value);
                  setAt(0);
                }}
                className={`${fieldClass} w-40`}
              />
            </form>
            {words !== "" && (
              <span role="status">
                {found.length === 0 ? "not found" : `${(at % found.length) + 1} of ${found.length}, Enter for the next`}
              </span>
            )}
            {!isFollowing && <Button onClick={() => setFollowing(true)}>To the end</Button>}
          </div>
        )
      }
    >
      {error !== undefined && <Problem error={error} />}
      {part === undefined && error === undefined && <Loading what="the log" />}
      {part !== undefined && count === 0 && (
        <p className="text-sm text-muted">{part.ended ? "It wrote nothing." : "Nothing yet."}</p>
      )}
      {part !== undefined && part.start > 0 && (
        <p className="mb-2 flex items-center gap-3 text-[13px] text-muted">
          <Button disabled={isReadingEarlier} onClick={() => void earlier()}>
            {isReadingEarlier ? "Loading…" : "Earlier lines"}
          </Button>
          {bytes(part.start)} before these
        </p>
      )}
      <section
        ref={box}
        aria-label="Lines of the log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard can not scroll it
        tabIndex={0}
        hidden={count === 0}
        onWheel={(event) => event.deltaY < 0 && setFollowing(false)}
        onKeyDown={(event) => ["ArrowUp", "PageUp", "Home"].includes(event.key) && setFollowing(false)}
        onTouchMove={() => setFollowing(false)}
        className="max-h-96 overflow-auto rounded-lg bg-sunken py-2"
      >
        <div className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => (
            <div
              key={index}
              style={{ transform: `translateY(${start}px)`, height: lineHeight }}
              className={`absolute left-0 min-w-full px-3 font-mono text-[12.5px] leading-5 whitespace-pre ${
                index === marked && words !== "" ? "bg-warn-soft" : ""
              }`}
            >
              {plainLine(lines[index] ?? "")}
            </div>
          ))}
        </div>
      </section>
      {count > 0 && <p className="mt-2 text-[13px] text-muted">{plural(count, "line")} here</p>}
    </Section>
  );
}
