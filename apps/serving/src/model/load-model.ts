import { openPythonModel, type PythonOptions } from "../python/python-model.ts";
import type { LoadedModel } from "./model.ts";
import { type OnnxModelOptions, openOnnxModel } from "./onnx-model.ts";
import { findPythonFolder } from "./python-folder.ts";

export interface LoadOptions extends OnnxModelOptions {
  /** For models that only Python can run. */
  python?: PythonOptions;
}

/**
 * Opens a model folder with the runtime that its format asks for: ONNX in this process, every other MLflow model in Python workers.
 * Errors: those of `openOnnxModel` and `openPythonModel`.
 */
export async function loadModel(folder: string, options: LoadOptions): Promise<LoadedModel> {
  const python = await findPythonFolder(folder);
  if (python === undefined) return openOnnxModel(folder, options);
  return openPythonModel(python, { ...options, ...options.python });
}
