import type { Contender, ContenderLoad } from "./contender.ts";
import type { LoadResult } from "./load.ts";

export interface Measured {
  contender: Contender;
  loads: { load: ContenderLoad; result: LoadResult }[];
  coldStartSeconds: number;
  /** Of all its processes, after the JSON load, without the model file's size. */
  megabytesAboveModel: number;
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function rounded(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** `reference` is the contender whose first load every other is compared with. */
export function loadTable(measured: readonly Measured[], reference: string): string {
  const ours = measured.find(({ contender }) => contender.key === reference)?.loads[0]?.result.requestsPerSecond;
  const rows = measured.flatMap(({ contender, loads }) =>
    loads.map(({ load, result }) => [
      contender.title,
      load.protocol,
      rounded(result.requestsPerSecond),
      rounded(result.p50Milliseconds),
      rounded(result.p99Milliseconds),
      String(result.failed),
      ours === undefined ? "-" : rounded(ours / result.requestsPerSecond),
    ]),
  );
  const head = [
    "server",
    "protocol",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "failed",
    "our model server's JSON is times faster",
  ];
  return [line(head), line(head.map((_, index) => (index < 2 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

export function startTable(measured: readonly Measured[]): string {
  const head = ["server", "set-up", "cold start to first answer, s", "memory above the model, MB"];
  const rows = measured.map(({ contender, coldStartSeconds, megabytesAboveModel }) => [
    contender.title,
    contender.setUp,
    rounded(coldStartSeconds),
    rounded(megabytesAboveModel),
  ]);
  return [line(head), line(["---", "---", "---:", "---:"]), ...rows.map(line)].join("\n");
}
