export { openRecord, type ProjectRecord } from "./db/record.ts";
export { openApiDocument } from "./http/openapi.ts";
export { type StartedControlPlane, type StartOptions, startControlPlane } from "./start.ts";
