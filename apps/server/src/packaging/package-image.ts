import { join } from "node:path";
import type { PackagedImage } from "@espalier/contract";
import {
  attach,
  billOfMaterials,
  billStatement,
  buildIndex,
  cyclonedxPredicateType,
  cyclonedxType,
  digestOfJson,
  type ImageFacts,
  type ImageRegistry,
  inTotoType,
  type OciDescriptor,
  ociEmptyContent,
  ociEmptyDescriptor,
  type PushProgress,
  parsePlatform,
  printPlatform,
  provenanceStatement,
  pushImage,
  putChecked,
  putContent,
  readSigningKey,
  signImage,
  slsaPredicateType,
} from "@espalier/core";
import { buildModelImages, hostPlatform, type ModelImages, openBase, parseBase } from "@espalier/host";
import type { ControlPlane } from "../control-plane.ts";
import type { ModelVersionRow } from "../db/queries/models.ts";
import { type HeldVersion, requireContent } from "../models/version-content.ts";
import { openTarget, type TargetOptions } from "./target.ts";

export interface ImageRequest extends TargetOptions {
  version: ModelVersionRow;
  base?: string | undefined;
  platforms?: readonly string[] | undefined;
  python?: string | undefined;
  sign?: { key: string; passphrase?: string | undefined } | undefined;
}

export interface ImageWatch {
  phase(phase: string): void;
  push(progress: PushProgress): void;
}

/** Where the last image of a version went; on the version, so that whoever deploys it elsewhere finds it. */
const imageTag = "espalier.image";

/**
 * Builds the image of a version, pushes it, and attaches what it is made of and where it comes from; signed where there is a key. Everything
 * that can be found wrong without work is found first. Idempotent: equal inputs are one image, and only what is missing is sent.
 */
export async function packageImage(
  plane: ControlPlane,
  request: ImageRequest,
  watch: ImageWatch,
): Promise<PackagedImage> {
  const { artifacts, project, record } = plane;
  const key = request.sign === undefined ? undefined : readSigningKey(request.sign.key, request.sign.passphrase);
  const platforms = (
    request.platforms ?? [printPlatform(hostPlatform() ?? { os: "linux", architecture: "amd64" })]
  ).map(parsePlatform);
  const source = request.base === undefined ? undefined : parseBase(request.base, project.directory);
  const target = await openTarget(plane, request);
  const { registry, repository, tag } = target;
  // A registry that is away, or lets us not in, is found out before the work. The documents need this blob.
  watch.phase(`asking ${target.host ?? "the registry"}`);
  await putContent(registry, repository, ociEmptyDescriptor, ociEmptyContent);

  watch.phase("reading the model");
  const version = await requireContent(plane, request.version);
  const verdict = await verdictOf(plane, version);
  const built = await buildModelImages({
    artifacts,
    model: {
      name: version.name,
      version: String(version.version),
      content: version.artifact,
      createdAt: version.createdAt,
      ...(verdict === undefined ? {} : { verdict: verdict.digest }),
    },
    platforms,
    ...(source === undefined
      ? {}
      : {
          base: (platform) =>
            openBase(source, platform, {
              access: target.access,
              ...(target.host === undefined ? {} : { targetRegistry: target.host }),
            }),
        }),
    ...(request.python === undefined ? {} : { python: request.python }),
    buildFolder: join(project.stateDirectory, "serving-image"),
    onPhase: watch.phase,
  });

  watch.phase("pushing");
  let sums = { sentBytes: 0, heldBytes: 0 };
  for (const image of built.images) {
    let last: PushProgress | undefined;
    const onProgress = (progress: PushProgress): void => {
      last = progress;
      watch.push(progress);
    };
    await pushImage(registry, repository, image, { ...(built.images.length === 1 ? { tag } : {}), onProgress });
    sums = {
      sentBytes: sums.sentBytes + (last?.sentBytes ?? 0),
      heldBytes: sums.heldBytes + (last?.heldBytes ?? 0),
    };
  }
  const subject = await nameIndex(registry, repository, tag, built, version);

  watch.phase("attaching documents");
  const facts = await factsOf(plane, version, built, { name: target.name, digest: subject.digest, platforms }, verdict);
  const bill = billOfMaterials(facts);
  const provenance = provenanceStatement(facts);
  const attached: PackagedImage["attached"] = [];
  for (const [type, content, predicateType] of [
    [cyclonedxType, bill, undefined],
    [inTotoType, provenance, slsaPredicateType],
  ] as const) {
    const { digest } = await attach(registry, repository, subject, {
      artifactType: type,
      layers: [{ mediaType: type, content }],
      ...(predicateType === undefined ? {} : { annotations: { "in-toto.io/predicate-type": predicateType } }),
    });
    attached.push({ type, digest });
  }
  if (key !== undefined) {
    watch.phase("signing");
    await signImage(registry, { name: target.name, repository }, subject, key, [
      { statement: provenance, predicateType: slsaPredicateType },
      { statement: billStatement(facts, bill), predicateType: cyclonedxPredicateType },
    ]);
  }
  const image = `${target.name}:${tag}@${subject.digest}`;
  await record.models.setTags(version.name, version.version, { [imageTag]: image });
  return {
    image,
    digest: subject.digest,
    platforms: platforms.map(printPlatform),
    layers: built.images.flatMap(({ platform, layers }) =>
      layers.map(({ what, descriptor }) => ({
        platform: printPlatform(platform),
        what,
        digest: descriptor.digest,
        bytes: descriptor.size,
      })),
    ),
    ...(built.base === undefined ? {} : { base: `${built.base.name}@${built.base.digest}` }),
    model: { name: version.name, version: version.version, digest: version.digest },
    gate: version.verdictId === undefined ? "none" : "passed",
    attached,
    signed: key !== undefined,
    ...sums,
  };
}

/** The image itself, or the index over the images of several platforms, which then has the tag. */
async function nameIndex(
  registry: ImageRegistry,
  repository: string,
  tag: string,
  { images }: ModelImages,
  version: HeldVersion,
): Promise<OciDescriptor> {
  const [only, ...others] = images;
  if (only !== undefined && others.length === 0) return only.descriptor;
  const index = buildIndex(images, {
    "org.opencontainers.image.title": version.name,
    "org.opencontainers.image.version": String(version.version),
    "espalier.model.digest": version.digest,
  });
  await putChecked(registry, repository, tag, index);
  return index.descriptor;
}

async function verdictOf({ record }: ControlPlane, version: HeldVersion): Promise<ImageFacts["verdict"]> {
  const row = version.verdictId === undefined ? undefined : await record.verdicts.get(version.verdictId);
  return row === undefined ? undefined : { id: row.id, digest: digestOfJson(row.report), outcome: row.outcome };
}

async function factsOf(
  { record, project, version: espalierVersion }: ControlPlane,
  version: HeldVersion,
  built: ModelImages,
  image: Pick<ImageFacts, "name" | "digest" | "platforms">,
  verdict: ImageFacts["verdict"],
): Promise<ImageFacts> {
  const run = version.runId === undefined ? undefined : await record.runs.get(version.runId);
  const source = await sourceOf(record, version);
  return {
    ...image,
    model: { name: version.name, version: String(version.version), digest: version.digest },
    ...(built.base === undefined ? {} : { base: built.base }),
    components: built.components,
    espalierVersion,
    project: project.name,
    ...(version.runId === undefined
      ? {}
      : {
          run: {
            id: version.runId,
            ...(run === undefined ? {} : { pipeline: run.pipeline.name }),
            ...(version.step === undefined ? {} : { step: version.step }),
          },
        }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(source === undefined ? {} : { source }),
  };
}

/** Where the code of the run was, as MLflow's client tells it. */
async function sourceOf(record: ControlPlane["record"], version: HeldVersion): Promise<ImageFacts["source"]> {
  if (version.runId === undefined) return undefined;
  const tags = new Map((await record.tracking.runs.get(version.runId))?.tags.map(({ key, value }) => [key, value]));
  const commit = tags.get("mlflow.source.git.commit");
  if (commit === undefined || !/^[0-9a-f]{40,64}$/.test(commit)) return undefined;
  const repository = tags.get("mlflow.source.git.repoURL");
  return { uri: repository === undefined || repository === "" ? "git" : `git+${repository}`, commit };
}
