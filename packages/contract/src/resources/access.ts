import { z } from "zod";
import { apiPrefix, defineRoutes, doneSchema, instantSchema, pageOf, pageQuery, roleSchema } from "../route.ts";

const secretParams = z.object({
  name: z.string().regex(/^[A-Z][A-Z0-9_]{0,127}$/, "a secret's name is an environment variable's, such as API_KEY"),
});

export const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: roleSchema,
  createdAt: instantSchema,
  createdBy: z.string().optional(),
  expiresAt: instantSchema.optional(),
  lastUsedAt: instantSchema.optional(),
  revokedAt: instantSchema.optional(),
});
export type Token = z.infer<typeof tokenSchema>;

export const approvalSchema = z.object({
  id: z.string(),
  runId: z.string(),
  step: z.string(),
  branch: z.number().optional(),
  state: z.enum(["waiting", "approved", "rejected", "cancelled"]),
  message: z.string().optional(),
  requestedAt: instantSchema,
  decidedAt: instantSchema.optional(),
  decidedBy: z.string().optional(),
  comment: z.string().optional(),
});
export type Approval = z.infer<typeof approvalSchema>;

export const auditSchema = z.object({
  id: z.number(),
  at: instantSchema,
  actor: z.string(),
  /** The route's name, such as `runs.create`. */
  action: z.string(),
  subject: z.string().optional(),
  outcome: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});
export type AuditRow = z.infer<typeof auditSchema>;

export const accessRoutes = defineRoutes({
  "secrets.list": {
    method: "GET",
    path: `${apiPrefix}/secrets`,
    role: "editor",
    kind: "json",
    summary: "Names of secrets; values are never answered",
    response: pageOf(z.object({ name: z.string() })),
  },
  "secrets.set": {
    method: "PUT",
    path: `${apiPrefix}/secrets/:name`,
    role: "editor",
    kind: "json",
    summary: "Stores a secret",
    params: secretParams,
    body: z.strictObject({ value: z.string().min(1).max(65_536) }),
    response: doneSchema,
  },
  "secrets.delete": {
    method: "DELETE",
    path: `${apiPrefix}/secrets/:name`,
    role: "editor",
    kind: "json",
    summary: "Deletes a secret",
    params: secretParams,
    response: doneSchema,
  },
  "tokens.list": {
    method: "GET",
    path: `${apiPrefix}/tokens`,
    role: "admin",
    kind: "json",
    summary: "Tokens without their values",
    query: z.object(pageQuery),
    response: pageOf(tokenSchema),
  },
  "tokens.create": {
    method: "POST",
    path: `${apiPrefix}/tokens`,
    role: "admin",
    kind: "json",
    summary: "Makes a token; its value is shown this once",
    body: z.strictObject({
      name: z.string().min(1).max(100),
      role: roleSchema,
      // A hundred years.
      expiresInSeconds: z.int().positive().max(3_155_760_000).optional(),
    }),
    response: tokenSchema.extend({ token: z.string() }),
  },
  "tokens.revoke": {
    method: "DELETE",
    path: `${apiPrefix}/tokens/:tokenId`,
    role: "admin",
    kind: "json",
    summary: "Ends a token at once",
    params: z.object({ tokenId: z.string() }),
    response: doneSchema,
  },
  "approvals.list": {
    method: "GET",
    path: `${apiPrefix}/approvals`,
    role: "viewer",
    kind: "json",
    summary: "Steps that wait, or waited, for a person",
    query: z.object({ ...pageQuery, state: z.enum(["waiting", "approved", "rejected", "cancelled"]).optional() }),
    response: pageOf(approvalSchema),
  },
  "approvals.decide": {
    method: "POST",
    path: `${apiPrefix}/approvals/:approvalId`,
    role: "editor",
    kind: "json",
    summary: "Decides once; CONFLICT when it is decided already",
    params: z.object({ approvalId: z.string() }),
    body: z.strictObject({ decision: z.enum(["approve", "reject"]), comment: z.string().max(2000).optional() }),
    response: approvalSchema,
  },
  "audit.list": {
    method: "GET",
    path: `${apiPrefix}/audit`,
    role: "admin",
    kind: "json",
    summary: "Who changed what, newest first",
    query: z.object({ ...pageQuery, actor: z.string().optional(), action: z.string().optional() }),
    response: pageOf(auditSchema),
  },
});
