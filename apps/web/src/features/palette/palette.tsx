import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useRef, useState } from "react";
import { client } from "../../api/client.ts";
import { navigation } from "../../app/navigation.ts";
import { setTheme, themes } from "../../app/theme.ts";
import { type Entry, matches } from "./match.ts";

interface Command extends Entry {
  run: () => void;
}

const mostShown = 12;

/** Goes anywhere by keyboard: a combo box over pages, runs, pipelines and actions (WAI-ARIA's pattern with a list box). */
export function Palette({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const commands = useCommands();
  const shown = matches(commands, typed, mostShown);
  const current = shown[Math.min(at, shown.length - 1)];
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const choose = (command: Command | undefined): void => {
    if (command === undefined) return;
    onClose();
    command.run();
  };
  const step = (by: number): void =>
    setAt((now) => (shown.length === 0 ? 0 : (now + by + shown.length) % shown.length));
  return (
    <dialog
      ref={dialog}
      aria-label="Go to"
      onCancel={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      onKeyDown={(event) => {
        if (event.key === "ArrowDown") step(1);
        else if (event.key === "ArrowUp") step(-1);
        else if (event.key === "Enter") choose(current);
        else return;
        event.preventDefault();
      }}
      className="mx-auto mt-[12vh] mb-auto w-[min(36rem,calc(100vw-2rem))] overflow-hidden rounded-xl border border-line bg-card p-0 text-ink shadow-xl backdrop:bg-black/45"
    >
      <input
        role="combobox"
        aria-label="Page, run, pipeline or action"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={current === undefined ? undefined : `${list}-${current.id}`}
        aria-autocomplete="list"
        placeholder="Page, run, pipeline or action"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        className="w-full border-b border-line bg-transparent px-5 py-4 outline-none placeholder:text-muted"
      />
      <div id={list} role="listbox" aria-label="Found" className="max-h-[50vh] overflow-auto p-2">
        {shown.map((command) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the combo box's
          <div
            key={command.id}
            id={`${list}-${command.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={command === current}
            onClick={() => choose(command)}
            className="flex cursor-pointer items-center justify-between gap-4 rounded-lg px-3 py-2 text-sm hover:bg-sunken aria-selected:bg-leaf-soft"
          >
            <span className="min-w-0 truncate">{command.label}</span>
            <span className="text-[13px] text-muted">{command.kind}</span>
          </div>
        ))}
      </div>
      <p role="status" className="border-t border-line px-5 py-2 text-[13px] text-muted">
        {shown.length === 0 ? "Nothing has that name." : "Arrows choose, Enter goes, Escape closes."}
      </p>
    </dialog>
  );
}

/** Pages and actions are there at once; what must be asked for joins them when it comes. */
function useCommands(): Command[] {
  const navigate = useNavigate();
  const runs = useQuery({
    queryKey: ["runs.list", "palette"],
    queryFn: ({ signal }) => client.call("runs.list", { query: { limit: 200 }, signal }),
  });
  const pipelines = useQuery({
    queryKey: ["project.pipelines", "palette"],
    queryFn: ({ signal }) => client.call("project.pipelines", { signal }),
  });
  return [
    ...navigation.map(({ to, label }) => ({
      id: `page-${label}`,
      label,
      kind: "page",
      run: () => void navigate({ to }),
    })),
    ...themes.map((theme) => ({
      id: `theme-${theme}`,
      label: `Theme: ${theme}`,
      kind: "action",
      words: "colours appearance",
      run: () => setTheme(theme),
    })),
    ...(pipelines.data?.items ?? []).map(({ name }) => ({
      id: `pipeline-${name}`,
      label: name,
      kind: "pipeline",
      words: "runs of",
      run: () => void navigate({ to: "/runs", search: { pipeline: name } }),
    })),
    ...(runs.data?.items ?? []).map((run) => ({
      id: `run-${run.id}`,
      label: `${run.pipeline} ${run.id.slice(-8)}`,
      kind: `run, ${run.state}`,
      words: `${run.id} ${run.state}`,
      run: () => void navigate({ to: "/runs/$runId", params: { runId: run.id }, search: {} }),
    })),
  ];
}
