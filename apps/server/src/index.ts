export { openRecord, type ProjectRecord } from "./db/record.ts";
