import type { Figure } from "./results.ts";
import type { Target } from "./targets.ts";

export interface PartContext {
  target: Target;
  backend: "SQLite" | "PostgreSQL";
  python: string;
  /** 1: the whole size; 0.01: to see that it works. */
  scale: number;
  /** Seconds that each timed load runs. */
  seconds: number;
  /** For files; one a server. */
  folder: string;
}

export type Part = (context: PartContext) => Promise<Figure[]>;
