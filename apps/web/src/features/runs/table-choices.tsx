import { buttonClass, fieldClass } from "../../ui/button.tsx";
import { columnName, plainColumns } from "./columns.ts";

/** Which columns are shown and what the rows are grouped by. */
export function TableChoices({
  columns,
  parameters,
  group,
  onColumns,
  onGroup,
}: {
  columns: readonly string[];
  /** Names of the parameters there are. */
  parameters: readonly string[];
  group: string | undefined;
  onColumns: (columns: string[]) => void;
  onGroup: (group: string) => void;
}) {
  const named = parameters.map((name) => `params.${name}`);
  const all = [...new Set([...Object.keys(plainColumns), ...named, ...columns])];
  const groups = [...new Set(["pipeline", "state", "stack", ...named, ...(group === undefined ? [] : [group])])];
  return (
    <>
      <select
        aria-label="Group by"
        value={group ?? ""}
        onChange={(event) => onGroup(event.target.value)}
        className={fieldClass}
      >
        <option value="">no groups</option>
        {groups.map((name) => (
          <option key={name} value={name}>
            by {columnName(name)}
          </option>
        ))}
      </select>
      <details className="relative">
        <summary className={`${buttonClass()} list-none`}>Columns</summary>
        <fieldset className="absolute right-0 z-20 mt-1 max-h-80 min-w-48 overflow-auto rounded-lg border border-line bg-card p-3 shadow-lg">
          <legend className="sr-only">Columns</legend>
          {all.map((column) => (
            <label key={column} className="flex items-center gap-2 py-1 text-sm whitespace-nowrap">
              <input
                type="checkbox"
                checked={columns.includes(column)}
                onChange={(event) =>
                  onColumns(event.target.checked ? [...columns, column] : columns.filter((name) => name !== column))
                }
                className="size-4 accent-leaf"
              />
              {columnName(column)}
            </label>
          ))}
        </fieldset>
      </details>
    </>
  );
}
