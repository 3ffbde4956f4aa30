import { useEffect, useId, useState } from "react";
import { Button, fieldClass } from "../../ui/button.tsx";

const examples = [
  ["metrics.auc > 0.9", "a metric of one of the run's steps"],
  ["params.depth = '4' AND params.kind LIKE 'tree%'", "parameters, as they are written"],
  ["state IN ('failed', 'cancelled')", "also pipeline, stack, trigger, run_id"],
  ["tags.team = 'vines' AND params.depth IS NOT NULL", "tags; whether there is one"],
] as const;

/** A search in MLflow's filter language, with its grammar at hand. It is asked on Enter: half a filter is none. */
export function SearchField({ search, onSearch }: { search: string | undefined; onSearch: (search: string) => void }) {
  const [text, setText] = useState(search ?? "");
  const help = useId();
  useEffect(() => setText(search ?? ""), [search]);
  return (
    <div className="mb-4 space-y-2">
      <form
        className="flex flex-wrap gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          onSearch(text);
        }}
      >
        <input
          type="search"
          aria-label="Search runs"
          aria-describedby={help}
          placeholder="metrics.auc > 0.9 AND params.depth = '4'"
          spellCheck={false}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            if (event.target.value === "") onSearch("");
          }}
          className={`${fieldClass} min-w-0 flex-1 font-mono text-[13px]`}
        />
        <Button type="submit">Search</Button>
      </form>
      <details id={help} className="text-[13px] text-muted">
        <summary className="w-fit">How to search</summary>
        <p className="mt-2">Comparisons joined by AND, as in MLflow. Text stands in quotes. Press one to try it.</p>
        <ul className="mt-2 space-y-1">
          {examples.map(([example, meaning]) => (
            <li key={example} className="flex flex-wrap items-center gap-x-3">
              <button
                type="button"
                className="rounded bg-sunken px-2 py-0.5 text-left font-mono text-ink wrap-anywhere"
                onClick={() => {
                  setText(example);
                  onSearch(example);
                }}
              >
                {example}
              </button>
              {meaning}
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}
