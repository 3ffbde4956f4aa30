export { entryPoint } from "./entry-points.ts";
