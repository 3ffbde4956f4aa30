import type { Curve } from "@espalier/contract";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { decimal } from "../ui/words.ts";
import { strokeOf, tokenColour, useColourScheme } from "./colours.ts";
import { columnsOf, curveWords, type HorizontalAxis, smooth } from "./curve-data.ts";

export interface NamedCurve {
  name: string;
  curve: Curve;
  /** Which of the strokes; the same run has the same in every chart. */
  stroke: number;
}

interface ChartOptions {
  axis: HorizontalAxis;
  isLogarithmic?: boolean;
  /** 0 (none) to below 1. */
  smoothing?: number;
  height: number;
}

/** Curves over one axis. Drawn from buckets: the band is what was logged between lowest and highest, the line its mean. */
export function CurveChart({
  title,
  curves,
  axis,
  isLogarithmic = false,
  smoothing = 0,
  height,
}: ChartOptions & { title: string; curves: readonly NamedCurve[] }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useColourScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours, which are read while drawing
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const { options, data } = chartOf(curves, { axis, isLogarithmic, smoothing, height });
    const chart = new uPlot({ ...options, width: Math.max(120, element.clientWidth) }, data, element);
    const watcher = new ResizeObserver(() => chart.setSize({ width: Math.max(120, element.clientWidth), height }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      chart.destroy();
    };
  }, [curves, axis, isLogarithmic, smoothing, height, scheme]);
  return (
    <figure className="min-w-0">
      <figcaption className="mb-1 text-sm">
        <span className="font-medium wrap-anywhere">{title}</span>
        {curves.length === 1 && curves[0] !== undefined && (
          <span className="text-muted"> {curveWords(curves[0].curve, decimal)}</span>
        )}
      </figcaption>
      {curves.length > 1 && (
        <ul className="sr-only">
          {curves.map(({ name, curve }) => (
            <li key={`${name} ${curve.attemptId}`}>
              {name}: {curveWords(curve, decimal)}
            </li>
          ))}
        </ul>
      )}
      <div ref={place} aria-hidden="true" className="curve-chart min-w-0 overflow-hidden" />
    </figure>
  );
}

function chartOf(
  curves: readonly NamedCurve[],
  { axis, isLogarithmic, smoothing, height }: Required<ChartOptions>,
): { options: Omit<uPlot.Options, "width">; data: uPlot.AlignedData } {
  const columns = curves.map(({ curve }) => columnsOf(curve, axis));
  // Lines of a curve that lies below another in the join have gaps at the other's x; they are spanned.
  const positive = (values: (number | null)[]) =>
    isLogarithmic ? values.map((value) => (value !== null && value > 0 ? value : null)) : values;
  const tables = columns.map(
    ({ x, mean, low, high }) =>
      [x, positive(smooth(mean, smoothing)), positive(low), positive(high)] as uPlot.AlignedData,
  );
  const data = tables.length === 0 ? ([[]] as uPlot.AlignedData) : uPlot.join(tables);
  const line = tokenColour("line");
  const muted = tokenColour("muted");
  const font = "12px 'Inter Variable', system-ui, sans-serif";
  const axisLook = { stroke: muted, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return {
    data,
    options: {
      height,
      legend: { show: curves.length === 1 },
      cursor: { points: { size: 6 }, drag: { x: true, y: false } },
      scales: { x: { time: axis === "clock" }, y: { distr: isLogarithmic ? 3 : 1 } },
      axes: [
        {
          ...axisLook,
          ...(axis === "time" ? { values: (_: uPlot, at: number[]) => at.map((one) => `${one} s`) } : {}),
        },
        {
          ...axisLook,
          size: 64,
          values: (_: uPlot, at: (number | null)[]) => at.map((one) => (one === null ? "" : decimal(one))),
        },
      ],
      series: [
        { label: axis === "step" ? "step" : axis === "time" ? "seconds" : "time" },
        ...curves.flatMap(({ name, stroke }) => {
          const { colour, dash } = strokeOf(stroke);
          const edge = { show: true, stroke: "transparent", width: 0, points: { show: false }, spanGaps: true };
          return [
            {
              label: name,
              stroke: colour,
              width: 1.75,
              dash,
              spanGaps: true,
              points: { show: false },
              value: (_: uPlot, value: number | null) => (value === null ? "–" : decimal(value)),
            },
            {
              ...edge,
              label: "lowest",
              value: (_: uPlot, value: number | null) => (value === null ? "–" : decimal(value)),
            },
            {
              ...edge,
              label: "highest",
              value: (_: uPlot, value: number | null) => (value === null ? "–" : decimal(value)),
            },
          ];
        }),
      ],
      bands: curves.map(({ stroke }, index) => ({
        series: [index * 3 + 3, index * 3 + 2] as uPlot.Band.Bounds,
        fill: faint(strokeOf(stroke).colour),
      })),
    },
  };
}

function faint(colour: string): string {
  return `color-mix(in srgb, ${colour} 18%, transparent)`;
}
