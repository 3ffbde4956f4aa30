import { type ArtifactRef, type Artifacts, EspalierError, isEspalierError } from "@espalier/core";
import { parse } from "yaml";
import { z } from "zod";

const mlmodelSchema = z.looseObject({ flavors: z.record(z.string(), z.unknown()) });
const signatureSchema = z.looseObject({ format: z.string(), payload: z.string() });
const largestBytes = 8 * 1024 * 1024;

/** The flavours of a model that nothing but Python can run; undefined for one that our server runs by itself. Nothing in it is run. */
export async function pythonFlavors(artifacts: Artifacts, model: ArtifactRef): Promise<string[] | undefined> {
  const read = async (path: string): Promise<string | undefined> => {
    try {
      return Buffer.from(await artifacts.readBytes(model, path, largestBytes)).toString("utf8");
    } catch (error) {
      if (isEspalierError(error) && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  };
  const signature = signatureSchema.safeParse(parsed(await read("signature.json"))).data;
  if (signature !== undefined && signature.format !== "mlflow") return undefined;
  const text = await read(signature === undefined ? "MLmodel" : `${signature.payload}/MLmodel`);
  if (text === undefined) return undefined;
  const flavors = Object.keys(mlmodelSchema.safeParse(parsed(text)).data?.flavors ?? {});
  return flavors.includes("python_function") && !flavors.includes("onnx") ? flavors : undefined;
}

/** UNSUPPORTED with what to do: an image can not install what a model needs of Python. */
export function needsPython(name: string, flavors: readonly string[]): EspalierError {
  return new EspalierError(
    "UNSUPPORTED",
    `The model ${name} runs in Python (${flavors.join(", ")}), and nothing says where the image has one`,
    {
      hint: "Give a base whose Python has mlflow and the model's requirements.txt, and say where it is: --base registry/image:tag --python /usr/bin/python3. Or export the model to ONNX.",
    },
  );
}

/** JSON is YAML. */
function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : parse(text, { maxAliasCount: 100 });
  } catch {
    return undefined;
  }
}
