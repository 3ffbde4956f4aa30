import type { ColumnTypes } from "./migration.ts";

/** Endpoints as they were last applied from espalier.yaml, and how far that has come. */
export function declarationTables({ text, integer, tableEnd }: ColumnTypes): string[] {
  return [
    // target, settings: what was last acted on. due_at: not to be tried again before that.
    `CREATE TABLE endpoint_declarations (project_id ${text} NOT NULL, name ${text} NOT NULL, declaration ${text} NOT NULL,
      state ${text} NOT NULL, target ${text}, settings ${text}, code ${text}, message ${text}, tries ${integer} NOT NULL, due_at ${integer} NOT NULL,
      applied_by ${text} NOT NULL, applied_at ${integer} NOT NULL, updated_at ${integer} NOT NULL,
      PRIMARY KEY (project_id, name)) ${tableEnd}`,
  ];
}
