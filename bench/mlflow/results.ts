/** One figure of one server. */
export interface Figure {
  what: string;
  unit: string;
  /** Which way is better; `machine` is a figure of the machine and no server's. */
  better: "more" | "less" | "machine";
  value: number;
  /** Shown behind the value: a bound that was reached, a count of failures. */
  note?: string;
}

export type System = "MLflow" | "Espalier" | "null server";

export interface Results {
  add(part: string, backend: string, system: System, figures: readonly Figure[]): void;
  /** Rows in the order in which they were first added, a table a part. */
  markdown(): string;
}

interface Row extends Omit<Figure, "value" | "note"> {
  part: string;
  backend: string;
  values: Map<System, Figure>;
}

export function createResults(): Results {
  const rows = new Map<string, Row>();
  return {
    add(part, backend, system, figures) {
      for (const figure of figures) {
        const key = `${part}\n${backend}\n${figure.what}`;
        const { what, unit, better } = figure;
        const row = rows.get(key) ?? { part, backend, what, unit, better, values: new Map() };
        row.values.set(system, figure);
        rows.set(key, row);
      }
    },
    markdown() {
      const parts = [...new Set([...rows.values()].map((row) => row.part))];
      return parts
        .map((part) =>
          table(
            part,
            [...rows.values()].filter((row) => row.part === part),
          ),
        )
        .join("\n\n");
    },
  };
}

function table(part: string, rows: readonly Row[]): string {
  const limited = rows.some((row) => row.values.has("null server"));
  const head = ["", "database", "MLflow", "Espalier", "times better", ...(limited ? ["client's own limit"] : [])];
  const body = rows.map((row) => {
    const limit = rows.find((other) => other.what === row.what && other.values.has("null server"));
    return [
      `${row.what}, ${row.unit}`,
      row.backend,
      shown(row.values.get("MLflow")),
      shown(row.values.get("Espalier")),
      ratio(row),
      ...(limited ? [shown(limit?.values.get("null server"))] : []),
    ];
  });
  // The client's limit stands in its column, not in a row of its own.
  const lines = body.filter((_, index) => rows[index]?.backend !== "none");
  return [
    `### ${part}`,
    "",
    line(head),
    line(head.map((_, index) => (index < 2 ? "---" : "---:"))),
    ...lines.map(line),
  ].join("\n");
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function shown(figure: Figure | undefined): string {
  if (figure === undefined) return "";
  return `${rounded(figure.value)}${figure.note === undefined ? "" : ` (${figure.note})`}`;
}

function ratio(row: Row): string {
  const theirs = row.values.get("MLflow")?.value;
  const ours = row.values.get("Espalier")?.value;
  if (theirs === undefined || ours === undefined || row.better === "machine") return "";
  return rounded(row.better === "more" ? ours / theirs : theirs / ours);
}

function rounded(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
