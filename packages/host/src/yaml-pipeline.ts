import {
  authoringNames,
  compilePipeline,
  type Fault,
  type PipelineIr,
  pipelineAuthoringSchema,
  pointerPath,
  salvage,
} from "@espalier/core";
import { placed, readYamlDocument } from "./yaml-document.ts";

/** A pipeline as a front end read it. */
export interface ParsedPipeline {
  /** `pipelines/train.yaml` */
  file: string;
  /** Absent when too little of the file could be read. */
  pipeline?: PipelineIr;
  /** Faults of syntax and shape; those of meaning are `checkPipeline`'s. */
  faults: Fault[];
  /** `file:line:column` of a pointer into the IR. */
  locate(pointer: string): string;
}

export function parseYamlPipeline(text: string, file: string): ParsedPipeline {
  const document = readYamlDocument(text, file);
  const locate = (pointer: string): string => document.locate(authoringPath(document.value, pointer));
  if (document.faults.length > 0) return { file, faults: document.faults, locate };
  const fallbackName = (file.split("/").at(-1) ?? "").replace(/\.ya?ml$/, "").toLowerCase();
  const { faults, value } = salvage(pipelineAuthoringSchema, document.value ?? {}, "INVALID_PIPELINE", {
    "/name": fallbackName,
    "/steps": {},
  });
  return {
    file,
    ...(value === undefined ? {} : { pipeline: compilePipeline(value) }),
    faults: placed(faults, document.locate),
    locate,
  };
}

/** What a pointer into the IR is called in the file, as deep as the file goes. */
function authoringPath(document: unknown, pointer: string): string[] {
  const path: string[] = [];
  let value = document;
  for (const segment of pointerPath(pointer)) {
    const written = authoringNames[segment];
    const known = isMapping(value) && written !== undefined && !Object.hasOwn(value, segment) ? written : segment;
    path.push(known);
    value = isMapping(value) ? value[known] : undefined;
  }
  return path;
}

const isMapping = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
