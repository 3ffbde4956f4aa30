import type { Fault } from "../fault.ts";
import {
  builtinInputs,
  builtinOutputs,
  builtinSettings,
  datasetWriters,
  gated,
  knownBuiltins,
} from "./checks/builtins.ts";
import { type Check, CheckContext, type CheckOptions } from "./checks/context.ts";
import { commands, conditions, declaredParams, maps } from "./checks/expressions.ts";
import { environments, inputTypes, knownOutputs, missingFiles, referenceForms } from "./checks/references.ts";
import { schedules } from "./checks/schedule.ts";
import { computes, cycles, fittingKeys, hasSteps, needs, runOrUses, secrets, stepNames } from "./checks/structure.ts";
import { tunes } from "./checks/tune.ts";
import type { PipelineIr } from "./pipeline.ts";

const checks: readonly Check[] = [
  hasSteps,
  stepNames,
  runOrUses,
  fittingKeys,
  knownBuiltins,
  builtinInputs,
  builtinOutputs,
  builtinSettings,
  referenceForms,
  knownOutputs,
  missingFiles,
  environments,
  inputTypes,
  needs,
  cycles,
  commands,
  declaredParams,
  conditions,
  maps,
  tunes,
  schedules,
  computes,
  secrets,
  datasetWriters,
  gated,
];

/** Every fault of a pipeline at once, in no particular order; empty means that it can be planned. */
export function checkPipeline(pipeline: PipelineIr, options: CheckOptions): Fault[] {
  const context = new CheckContext(pipeline, options);
  return checks.flatMap((check) => check(context));
}
