import { useMemo, useState } from "react";
import { ScrollRegion } from "../ui/scroll-region.tsx";
import { decimal } from "../ui/words.ts";
import { strokeOf, useColourScheme } from "./colours.ts";
import { axisOver, type Row } from "./parallel.ts";

const gap = 150;
const height = 260;
const top = 40;
const bottom = 24;

/** One line a row, one upright axis a parameter or metric. The list beside it names what a line comes to. */
export function ParallelChart({ axes, rows }: { axes: readonly string[]; rows: readonly Row[] }) {
  const scheme = useColourScheme();
  const [near, setNear] = useState<string>();
  const placed = useMemo(
    () =>
      axes.map((name, index) =>
        axisOver(
          name,
          rows.map(({ values }) => values[index] ?? null),
          decimal,
        ),
      ),
    [axes, rows],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours
  const strokes = useMemo(() => rows.map(({ stroke }) => strokeOf(stroke)), [rows, scheme]);
  const x = (index: number): number => 70 + index * gap;
  const y = (at: number): number => top + (1 - at) * (height - top - bottom);
  return (
    <ScrollRegion label="Parallel coordinates">
      <svg width={140 + (axes.length - 1) * gap} height={height} aria-hidden="true" className="text-[12px]">
        {placed.map(({ name, ticks }, index) => (
          <g key={name}>
            <line x1={x(index)} x2={x(index)} y1={y(0)} y2={y(1)} className="stroke-edge" />
            <text x={x(index)} y={16} textAnchor="middle" className="fill-ink font-medium">
              {name.length > 22 ? `${name.slice(0, 21)}…` : name}
            </text>
            {ticks.slice(0, 12).map(({ at, label }) => (
              <text key={label} x={x(index) + 6} y={y(at) + (at === 1 ? -4 : at === 0 ? 14 : 4)} className="fill-muted">
                {label.slice(0, 16)}
              </text>
            ))}
          </g>
        ))}
        {rows.map((row, index) => (
          <path
            key={row.name}
            d={lineOf(
              placed.map((axis, at) => [x(at), axis.place(row.values[at] ?? null)] as const),
              y,
            )}
            fill="none"
            stroke={strokes[index]?.colour}
            strokeDasharray={strokes[index]?.dash.join(" ")}
            strokeWidth={near === row.name ? 4 : 1.75}
            opacity={near === undefined || near === row.name ? 1 : 0.25}
            onPointerEnter={() => setNear(row.name)}
            onPointerLeave={() => setNear(undefined)}
          >
            <title>{`${row.name}: ${axes.map((name, at) => `${name} ${shown(row.values[at])}`).join(", ")}`}</title>
          </path>
        ))}
      </svg>
      <table className="sr-only">
        <thead>
          <tr>
            <th scope="col">Name</th>
            {axes.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, values }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {axes.map((axis, at) => (
                <td key={axis}>{shown(values[at])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

function shown(value: number | string | null | undefined): string {
  return value === null || value === undefined ? "none" : decimal(value);
}

/** A row without a value on an axis has a gap there. */
function lineOf(points: readonly (readonly [number, number | null])[], y: (at: number) => number): string {
  let isDown = false;
  return points
    .map(([x, at]) => {
      if (at === null) {
        isDown = false;
        return "";
      }
      const command = isDown ? "L" : "M";
      isDown = true;
      return `${command}${x},${y(at)}`;
    })
    .join("");
}
