export { entryPoint, examplesDirectory } from "./entry-points.ts";
