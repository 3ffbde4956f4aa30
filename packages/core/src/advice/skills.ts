import type { Range } from "./ownership.ts";

interface Skill {
  /** Hours from nothing to running it by oneself in working hours. */
  hours: Range;
  source: string;
}

const estimate = "estimate of this project, 2026-11; no study stands behind it";

/** The skills that tools may ask for, and people may have. Levels: 0 none, 1 has used it, 2 runs it, 3 has repaired it under pressure. */
export const skills: Readonly<Record<string, Skill>> = {
  python: { hours: [80, 200], source: estimate },
  sql: { hours: [20, 60], source: estimate },
  typescript: { hours: [40, 100], source: estimate },
  linux: { hours: [40, 120], source: estimate },
  containers: { hours: [15, 40], source: estimate },
  kubernetes: { hours: [80, 200], source: estimate },
  terraform: { hours: [12, 30], source: "study time named by freeCodeCamp's Terraform Associate course, 2024" },
  s3: { hours: [5, 15], source: estimate },
  postgresql: { hours: [30, 80], source: estimate },
  ray: { hours: [20, 60], source: estimate },
  slurm: { hours: [40, 100], source: estimate },
  mlflow: { hours: [8, 20], source: estimate },
  prometheus: { hours: [15, 40], source: estimate },
  airflow: { hours: [40, 80], source: estimate },
  aws: { hours: [80, 200], source: estimate },
  "aws-sagemaker": { hours: [40, 100], source: estimate },
  google: { hours: [80, 200], source: estimate },
  azure: { hours: [80, 200], source: estimate },
};

/** Half of the way is behind whoever has used it. */
export function hoursToLearn(skill: string, level: number): Range {
  const [low, high] = skills[skill]?.hours ?? [20, 80];
  if (level >= 2) return [0, 0];
  return level === 1 ? [low / 2, high / 2] : [low, high];
}
