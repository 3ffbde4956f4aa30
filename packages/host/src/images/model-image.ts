import {
  type ArtifactRef,
  type Artifacts,
  type BaseImage,
  buildImage,
  environmentOf,
  fileLayer,
  type Image,
  type ImageComponent,
  type ImageLayer,
  type ImagePlatform,
  type LayerEntry,
} from "@espalier/core";
import { hostLibraries } from "./host-libraries.ts";
import { needsPython, pythonFlavors } from "./python-need.ts";
import { type ImagePart, nodeRuntime, onnxRuntime, servingFolder, servingProgram } from "./serving-program.ts";

export interface ModelImageRequest {
  artifacts: Artifacts;
  model: {
    name: string;
    version: string;
    content: ArtifactRef;
    verdict?: string;
    /** When it was registered, in milliseconds: the only time that an image says. */
    createdAt?: number;
  };
  platforms: readonly ImagePlatform[];
  /** Left out: the libraries of this machine. */
  base?: (platform: ImagePlatform) => Promise<BaseImage>;
  /** Path of the base's Python, which has what the model needs. */
  python?: string;
  /** Where a checkout bundles the model server. */
  buildFolder: string;
  onPhase?: (phase: string) => void;
}

export interface ModelImages {
  images: Image[];
  components: ImageComponent[];
  base?: { name: string; digest: BaseImage["digest"] };
}

/** Where SageMaker lays a model, and where our server looks first. */
const modelFolder = "opt/ml/model";
const port = 8080;
/** Not root; SageMaker starts the container as root all the same, which works as well. */
const user = "10001:10001";
const oldestNode = 24;

/**
 * The model server with a model inside, one image a platform. Layers from what changes least to what changes most: base, Node and
 * onnxruntime, the server, the model; so that another version of a model is one new layer. UNSUPPORTED: the model needs Python and nothing
 * says where it is.
 */
export async function buildModelImages(request: ModelImageRequest): Promise<ModelImages> {
  const { artifacts, model, python } = request;
  const tell = request.onPhase ?? (() => undefined);
  tell("reading the model");
  const flavors = await pythonFlavors(artifacts, model.content);
  const bases: { platform: ImagePlatform; base: BaseImage | undefined; pythonProgram: string | undefined }[] = [];
  for (const platform of request.platforms) {
    if (request.base !== undefined) tell("reading the base");
    const base = await request.base?.(platform);
    // The libraries of this machine, which are the base where there is no other, have no Python among them.
    const pythonProgram = base === undefined ? undefined : (python ?? environmentOf(base, "ESPALIER_MODEL_PYTHON"));
    if (flavors !== undefined && pythonProgram === undefined) throw needsPython(model.name, flavors);
    bases.push({ platform, base, pythonProgram });
  }
  tell("bundling the model server");
  const program = await servingProgram(request.buildFolder);
  const components = new Map<string, ImageComponent>();
  const keep = (part: Pick<ImagePart, "components">): void => {
    for (const one of part.components) components.set(one.purl ?? one.name, one);
  };
  keep(program);
  tell("assembling layers");
  const modelLayer = await fileLayer(
    `model ${model.name} ${model.version}`,
    await modelEntries(artifacts, model.content),
  );
  const programLayer = await fileLayer("Espalier's model server", program.entries);
  const images: Image[] = [];
  for (const { platform, base, pythonProgram } of bases) {
    const runtime = await runtimeLayers(platform, base, keep);
    images.push(
      buildImage({
        platform,
        ...(base === undefined ? {} : { base }),
        layers: [...runtime.layers, programLayer, modelLayer],
        entrypoint: [runtime.node, `/${servingFolder}/serving.js`],
        command: ["serve"],
        environment: {
          ESPALIER_MODEL_NAME: model.name,
          ESPALIER_MODEL_VERSION: model.version,
          ...(pythonProgram === undefined ? {} : { ESPALIER_MODEL_PYTHON: pythonProgram }),
        },
        labels: { ...labelsOf(request), ...baseLabels(base) },
        annotations: { ...labelsOf(request), ...baseLabels(base) },
        user,
        workingDirectory: "/",
        port,
        ...(model.createdAt === undefined ? {} : { createdAt: model.createdAt }),
      }),
    );
  }
  const base = bases[0]?.base;
  return {
    images,
    components: [...components.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...(base === undefined ? {} : { base: { name: base.name, digest: base.digest } }),
  };
}

async function runtimeLayers(
  platform: ImagePlatform,
  base: BaseImage | undefined,
  keep: (part: Pick<ImagePart, "components">) => void,
): Promise<{ layers: ImageLayer[]; node: string }> {
  const layers: ImageLayer[] = [];
  if (base === undefined) {
    const libraries = await hostLibraries(platform);
    keep(libraries);
    layers.push(await fileLayer("C libraries of the machine that built it", libraries.entries));
  }
  const onnx = await onnxRuntime(platform);
  keep(onnx);
  const version = environmentOf(base, "NODE_VERSION");
  const baseHasNode = Number.parseInt(version ?? "0", 10) >= oldestNode;
  const node = baseHasNode ? undefined : await nodeRuntime(platform);
  if (node !== undefined) {
    keep(node);
    layers.push(await fileLayer("Node", node.entries));
  }
  layers.push(await fileLayer("onnxruntime", onnx.entries));
  return { layers, node: node === undefined ? "node" : `/${servingFolder}/bin/node` };
}

async function modelEntries(artifacts: Artifacts, model: ArtifactRef): Promise<LayerEntry[]> {
  const files = await artifacts.entries(model);
  return files.map(({ path, size, executable }) => ({
    kind: "file",
    path: `${modelFolder}/${path}`,
    size,
    executable,
    open: async () => (await artifacts.open(model, path)).body,
  }));
}

function labelsOf({ model }: ModelImageRequest): Record<string, string> {
  return {
    "org.opencontainers.image.title": model.name,
    "org.opencontainers.image.version": model.version,
    ...(model.createdAt === undefined
      ? {}
      : { "org.opencontainers.image.created": new Date(model.createdAt).toISOString() }),
    "espalier.model.digest": model.content.digest,
    ...(model.verdict === undefined ? {} : { "espalier.verdict.digest": model.verdict }),
    // SageMaker: may hold several models, and listens where it is told.
    "com.amazonaws.sagemaker.capabilities.multi-models": "true",
    "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
  };
}

function baseLabels(base: BaseImage | undefined): Record<string, string> {
  if (base === undefined) return {};
  return { "org.opencontainers.image.base.name": base.name, "org.opencontainers.image.base.digest": base.digest };
}
