import type { RecordDatabase, RecordTransaction } from "../../database.ts";
import {
  type Assessment,
  type JsonValue,
  type StoredAssessment,
  sessionOfAssessment,
  toAssessment,
} from "./assessment.ts";

export type AssessmentFound = StoredAssessment | "no-trace" | "no-assessment";

export interface AssessmentQueries {
  /** `no-trace`: there is no such trace; `no-assessment`: it is to replace one that is not there. */
  create(assessment: Assessment): Promise<AssessmentFound>;
  get(traceId: string, id: string): Promise<AssessmentFound>;
  /** `change` makes the new from the present one; it may throw, and then nothing is changed. */
  update(traceId: string, id: string, change: (present: Assessment) => Assessment): Promise<AssessmentFound>;
  /** One that it had replaced counts again. Idempotent. */
  delete(traceId: string, id: string): Promise<void>;
}

export function createAssessmentQueries(database: RecordDatabase): AssessmentQueries {
  const { kysely, projectId } = database;
  type Source = Pick<RecordTransaction, "selectFrom">;

  const find = async (source: Source, traceId: string, id: string): Promise<AssessmentFound> => {
    const row = await source
      .selectFrom("assessments")
      .select(["content", "valid"])
      .where("project_id", "=", projectId)
      .where("trace_id", "=", traceId)
      .where("assessment_id", "=", id)
      .executeTakeFirst();
    if (row !== undefined) return toAssessment(row);
    return (await traceExists(source, traceId)) ? "no-assessment" : "no-trace";
  };

  const traceExists = async (source: Source, traceId: string): Promise<boolean> => {
    const row = await source
      .selectFrom("traces")
      .select("trace_id")
      .where("project_id", "=", projectId)
      .where("trace_id", "=", traceId)
      .executeTakeFirst();
    return row !== undefined;
  };

  const setValid = async (
    transaction: RecordTransaction,
    traceId: string,
    id: string,
    valid: 0 | 1,
  ): Promise<boolean> => {
    const changed = await transaction
      .updateTable("assessments")
      .set({ valid })
      .where("project_id", "=", projectId)
      .where("trace_id", "=", traceId)
      .where("assessment_id", "=", id)
      .returning("assessment_id")
      .executeTakeFirst();
    return changed !== undefined;
  };

  return {
    create: (assessment) =>
      database.transaction(async (transaction): Promise<AssessmentFound> => {
        const { traceId, overrides } = assessment;
        if (!(await traceExists(transaction, traceId))) return "no-trace";
        if (overrides !== undefined && !(await setValid(transaction, traceId, overrides, 0))) return "no-assessment";
        await insertAssessment(database, transaction, assessment);
        return { ...assessment, valid: true };
      }),
    get: (traceId, id) => find(kysely, traceId, id),
    update: (traceId, id, change) =>
      database.transaction(async (transaction): Promise<AssessmentFound> => {
        const present = await find(transaction, traceId, id);
        if (typeof present === "string") return present;
        const { valid, ...unchanged } = present;
        const changed = change(unchanged);
        await transaction
          .updateTable("assessments")
          .set(columnsOf(changed))
          .where("project_id", "=", projectId)
          .where("trace_id", "=", traceId)
          .where("assessment_id", "=", id)
          .execute();
        return { ...changed, valid };
      }),
    delete: (traceId, id) =>
      database.transaction(async (transaction) => {
        const deleted = await transaction
          .deleteFrom("assessments")
          .where("project_id", "=", projectId)
          .where("trace_id", "=", traceId)
          .where("assessment_id", "=", id)
          .returning("overrides")
          .executeTakeFirst();
        if (deleted !== undefined && deleted.overrides !== "") {
          await setValid(transaction, traceId, deleted.overrides, 1);
        }
      }),
  };
}

/** One of the same id is overwritten: a client that repeats its trace repeats its assessments. */
export async function insertAssessment(
  database: RecordDatabase,
  transaction: RecordTransaction,
  assessment: Assessment,
): Promise<void> {
  const columns = columnsOf(assessment);
  await transaction
    .insertInto("assessments")
    .values({
      project_id: database.projectId,
      trace_id: assessment.traceId,
      assessment_id: assessment.id,
      valid: 1,
      ...columns,
    })
    .onConflict((conflict) => conflict.columns(["project_id", "trace_id", "assessment_id"]).doUpdateSet(columns))
    .execute();
}

function columnsOf(assessment: Assessment) {
  const value = assessedValue(assessment.body);
  return {
    name: assessment.name,
    kind: assessment.kind,
    overrides: assessment.overrides ?? "",
    value: typeof value === "string" ? value : JSON.stringify(value),
    number: typeof value === "number" ? value : null,
    session: assessment.metadata?.[sessionOfAssessment] ?? "",
    content: JSON.stringify(assessment),
    create_time: assessment.createTime,
    last_update_time: assessment.lastUpdateTime,
  };
}

/** Lists and objects of an expectation come as JSON within a text. */
function assessedValue(body: Assessment["body"]): JsonValue {
  const serialized = body["serialized_value"];
  if (typeof serialized === "object" && serialized !== null && !Array.isArray(serialized)) {
    return serialized["value"] ?? null;
  }
  return body["value"] ?? null;
}
