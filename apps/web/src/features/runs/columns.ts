/** Columns besides the run's id, in the order they are shown; parameters follow as `params.<name>`. */
export const plainColumns = {
  pipeline: "Pipeline",
  state: "State",
  stack: "Stack",
  by: "Started by",
  created: "Created",
  took: "Took",
} as const;
export type PlainColumn = keyof typeof plainColumns;

const usual: readonly string[] = Object.keys(plainColumns);
const key = "espalier.runs.columns";

export function isPlain(column: string): column is PlainColumn {
  return Object.hasOwn(plainColumns, column);
}

/** Known columns, each once; without any, the usual ones. */
export function readColumns(text: string | undefined | null): string[] {
  const names = new Set((text ?? "").split(",").filter((name) => isPlain(name) || /^params\..+/.test(name)));
  return names.size === 0 ? [...usual] : [...names];
}

/** What the address says, else what the reader chose last in this browser. */
export function chosenColumns(address: string | undefined): string[] {
  return readColumns(address ?? localStorage.getItem(key));
}

/** Remembers the choice; what is answered goes into the address. */
export function rememberColumns(columns: readonly string[]): string {
  const text = columns.join(",");
  localStorage.setItem(key, text);
  return text;
}

export const columnName = (column: string): string =>
  isPlain(column) ? plainColumns[column] : column.replace(/^params\./, "");
