import type { Evidence, Proof } from "./evidence.ts";
import { type Criterion, type MaturityModel, maturityModels } from "./models.ts";

export interface JudgedCriterion extends Criterion {
  isMet: boolean;
  count: number;
  /** The newest of what proves it. */
  proofs: Proof[];
}

export interface JudgedLevel {
  level: number;
  name: string;
  isMet: boolean;
  criteria: JudgedCriterion[];
}

export interface Maturity {
  model: MaturityModel["id"];
  name: string;
  source: string;
  /** The highest level whose criteria, and those of all below it, are proven. */
  level: number;
  levelName: string;
  levels: JudgedLevel[];
  /** What is missing at the next level; empty at the highest. */
  missing: JudgedCriterion[];
}

const shownProofs = 3;

/** Holds what the record proves against the published models. Pure; levels build on each other, so that a gap below keeps the level down. */
export function maturityOf(evidence: Evidence): Maturity[] {
  return maturityModels.map((model) => {
    const levels = model.levels.map(({ level, name, criteria }): JudgedLevel => {
      const judged = criteria.map((criterion) => judge(criterion, evidence));
      return { level, name, isMet: judged.every(({ isMet }) => isMet), criteria: judged };
    });
    const firstGap = levels.findIndex(({ isMet }) => !isMet);
    const reached = levels[(firstGap === -1 ? levels.length : firstGap) - 1] ?? (levels[0] as JudgedLevel);
    return {
      model: model.id,
      name: model.name,
      source: model.source,
      level: reached.level,
      levelName: reached.name,
      levels,
      missing: firstGap === -1 ? [] : (levels[firstGap]?.criteria.filter(({ isMet }) => !isMet) ?? []),
    };
  });
}

function judge(criterion: Criterion, evidence: Evidence): JudgedCriterion {
  const proofs = evidence[criterion.provenBy];
  return {
    ...criterion,
    isMet: proofs.length >= criterion.atLeast,
    count: proofs.length,
    proofs: proofs.slice(0, shownProofs),
  };
}
