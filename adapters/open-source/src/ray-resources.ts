import { EspalierError, type StepSpec } from "@espalier/core";

/** Options of a Ray task (`ray.remote`), as JSON. */
export interface TaskResources {
  num_cpus: number;
  num_gpus?: number;
  /** Bytes. */
  memory?: number;
  accelerator_type?: string;
}

/** A step that says nothing has one CPU, as Ray's own tasks do. */
export function taskResources({ resources, label }: Pick<StepSpec, "resources" | "label">): TaskResources {
  if (resources.sharedMemoryBytes !== undefined) {
    throw new EspalierError("INVALID_INPUT", "Ray can not set the shared memory of a step", {
      at: label,
      hint: "Remove `shared_memory` from `resources:`; a step sees its node's /dev/shm.",
    });
  }
  const { cpu, memoryBytes, gpu } = resources;
  return {
    num_cpus: cpu ?? 1,
    ...(memoryBytes === undefined ? {} : { memory: memoryBytes }),
    ...(gpu === undefined ? {} : { num_gpus: gpu.count }),
    ...(gpu?.type === undefined ? {} : { accelerator_type: gpu.type }),
  };
}
