import { fromJson } from "../../json.ts";

export type AssessmentKind = "feedback" | "expectation" | "issue";

/** JSON as the client sent it. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** What somebody said of a trace. Times are ms since the epoch. */
export interface Assessment {
  id: string;
  traceId: string;
  name: string;
  kind: AssessmentKind;
  spanId?: string | undefined;
  source: { type: string; id: string };
  /** What the kind holds, as it is answered: a feedback's value and error, an expectation's value, an issue's name. */
  body: { [key: string]: JsonValue };
  rationale?: string | undefined;
  /** Absent, or with a member at least. */
  metadata?: Record<string, string> | undefined;
  /** The id of the assessment that this one replaces. */
  overrides?: string | undefined;
  createTime: number;
  lastUpdateTime: number;
}

/** `valid`: none has replaced it. */
export type StoredAssessment = Assessment & { valid: boolean };

export function toAssessment(row: { content: string; valid: number }): StoredAssessment {
  return { ...fromJson<Assessment>(row.content), valid: row.valid === 1 };
}

export const sessionOfAssessment = "mlflow.trace.session";
