import { Graph, layout } from "@dagrejs/dagre";

export const nodeWidth = 184;
export const nodeHeight = 58;

export interface PlacedStep {
  step: string;
  /** Of the left upper corner. */
  x: number;
  y: number;
}

export interface PlacedNeed {
  from: string;
  to: string;
  /** Data of an SVG path. */
  path: string;
}

export interface GraphLayout {
  steps: PlacedStep[];
  needs: PlacedNeed[];
  width: number;
  height: number;
}

/**
 * Places steps from left to right, each behind what it needs. A need of a step that the graph lacks is left out: dagre would make a node of it.
 * Deterministic: the same graph is drawn the same, so that a refresh moves nothing.
 */
export function layOut(graph: Readonly<Record<string, readonly string[]>>): GraphLayout {
  const drawn = new Graph();
  drawn.setGraph({ rankdir: "LR", nodesep: 22, ranksep: 36, marginx: 12, marginy: 12 });
  drawn.setDefaultEdgeLabel(() => ({}));
  for (const step of Object.keys(graph)) drawn.setNode(step, { width: nodeWidth, height: nodeHeight });
  for (const [step, needs] of Object.entries(graph))
    for (const need of needs) if (drawn.hasNode(need)) drawn.setEdge(need, step);
  layout(drawn);
  const { width = 0, height = 0 } = drawn.graph() as { width?: number; height?: number };
  return {
    steps: Object.keys(graph).map((step) => {
      const { x, y } = drawn.node(step) as { x: number; y: number };
      return { step, x: x - nodeWidth / 2, y: y - nodeHeight / 2 };
    }),
    needs: drawn.edges().map((edge) => ({
      from: edge.v,
      to: edge.w,
      path: curve((drawn.edge(edge) as { points: Point[] }).points),
    })),
    width: Math.max(0, width),
    height: Math.max(0, height),
  };
}

interface Point {
  x: number;
  y: number;
}

/** A smooth line through the bends: each bend is the control point between the middles of its two pieces. */
function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  const last = rest.pop();
  if (first === undefined || last === undefined) return "";
  const bends = rest.map((point, index) => {
    const next = rest[index + 1] ?? last;
    const end = index === rest.length - 1 ? last : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${place(point)} ${place(end)}`;
  });
  return `M${place(first)}${bends.length === 0 ? `L${place(last)}` : bends.join("")}`;
}

const place = ({ x, y }: Point): string => `${Math.round(x * 10) / 10},${Math.round(y * 10) / 10}`;
