import type { Assessment, StoredAssessment } from "../../db/queries/traces/assessment.ts";
import { writeTimestamp } from "./times.ts";

/** An assessment as MLflow's JSON has it. */
export function assessmentDocument(assessment: StoredAssessment): object {
  return {
    assessment_id: assessment.id,
    assessment_name: assessment.name,
    trace_id: assessment.traceId,
    ...present("span_id", assessment.spanId),
    source: {
      source_type: assessment.source.type,
      ...(assessment.source.id === "" ? {} : { source_id: assessment.source.id }),
    },
    create_time: writeTimestamp(assessment.createTime),
    last_update_time: writeTimestamp(assessment.lastUpdateTime),
    ...body(assessment),
    ...present("rationale", assessment.rationale),
    ...present("metadata", assessment.metadata),
    ...present("overrides", assessment.overrides),
    valid: assessment.valid,
  };
}

function body({ kind, body: content }: Assessment): object {
  return { [kind]: content };
}

function present(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}
