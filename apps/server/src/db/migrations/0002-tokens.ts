/** The end of an attempt takes its token with it, found by what the token is good for. */
export function tokenIndexes(): string[] {
  return ["CREATE INDEX tokens_by_scope ON tokens (project_id, scope_id) WHERE scope_id IS NOT NULL"];
}
