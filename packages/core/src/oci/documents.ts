import { canonicalJson, type Digest, type Json } from "../canonical-json.ts";
import { type ImagePlatform, printPlatform } from "./image.ts";

export const cyclonedxType = "application/vnd.cyclonedx+json";
export const inTotoType = "application/vnd.in-toto+json";
export const slsaPredicateType = "https://slsa.dev/provenance/v1";
export const cyclonedxPredicateType = "https://cyclonedx.org/bom";

/** An npm package, a program or a library of the operating system that an image holds. */
export interface ImageComponent {
  kind: "library" | "application" | "operating-system";
  name: string;
  version?: string;
  /** SPDX. */
  license?: string;
  /** Package URL, such as `pkg:npm/zod@4.6.7`. */
  purl?: string;
  digest?: Digest;
}

/** What the documents about an image tell of it. */
export interface ImageFacts {
  /** Where it is pushed, without tag and digest. */
  name: string;
  digest: Digest;
  platforms: readonly ImagePlatform[];
  model: { name: string; version: string; digest: Digest };
  base?: { name: string; digest: Digest };
  components: readonly ImageComponent[];
  espalierVersion: string;
  /** What the model comes from. */
  run?: { id: string; pipeline?: string; step?: string };
  verdict?: { id: string; digest: Digest; outcome: string };
  /** Where its code was, if known. */
  source?: { uri: string; commit: string };
  project: string;
}

/** A bill of materials: CycloneDX 1.6, whose components know machine-learning models. Equal facts give equal bytes. */
export function billOfMaterials(facts: ImageFacts): Uint8Array {
  const { model, base } = facts;
  const hashes = (digest: Digest | undefined): object =>
    digest === undefined ? {} : { hashes: [{ alg: "SHA-256", content: digest.slice(7) }] };
  const components = facts.components.map((component) => ({
    type: component.kind,
    "bom-ref": component.purl ?? `${component.name}@${component.version ?? ""}`,
    name: component.name,
    version: component.version,
    purl: component.purl,
    ...(component.license === undefined ? {} : { licenses: [licenseOf(component.license)] }),
    ...hashes(component.digest),
  }));
  const fromBase =
    base === undefined ? [] : [{ type: "container", "bom-ref": "base", name: base.name, ...hashes(base.digest) }];
  return document({
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "container",
        "bom-ref": "image",
        name: facts.name,
        version: model.version,
        ...hashes(facts.digest),
        properties: facts.platforms.map((platform) => ({ name: "espalier:platform", value: printPlatform(platform) })),
      },
      tools: { components: [{ type: "application", name: "espalier", version: facts.espalierVersion }] },
    },
    components: [
      {
        type: "machine-learning-model",
        "bom-ref": "model",
        name: model.name,
        version: model.version,
        // The digest of a model is that of its tree's list, which no hash of the list's alphabet is.
        properties: [{ name: "espalier:model-digest", value: model.digest }],
      },
      ...fromBase,
      ...components,
    ],
    dependencies: [
      {
        ref: "image",
        dependsOn: ["model", ...fromBase.map(() => "base"), ...components.map((one) => one["bom-ref"])],
      },
    ],
  });
}

function licenseOf(license: string): object {
  return /\s(OR|AND|WITH)\s|^\(/.test(license) ? { expression: license } : { license: { id: license } };
}

/** Where an image comes from: an in-toto statement with SLSA's provenance (v1). Equal facts give equal bytes, so it has no times. */
export function provenanceStatement(facts: ImageFacts): Uint8Array {
  const { model, base, source, run, verdict } = facts;
  const dependency = (uri: string, digest: Digest): object => ({ uri, digest: { sha256: digest.slice(7) } });
  return document({
    _type: "https://in-toto.io/Statement/v1",
    subject: [subjectOf(facts)],
    predicateType: slsaPredicateType,
    predicate: {
      buildDefinition: {
        buildType: "urn:espalier:build-type:model-image:v1",
        externalParameters: {
          model: `models:/${model.name}/${model.version}`,
          platforms: facts.platforms.map(printPlatform),
          base: base?.name,
        },
        internalParameters: {
          project: facts.project,
          run: run === undefined ? undefined : { ...run },
          verdict: verdict === undefined ? undefined : { ...verdict },
        },
        resolvedDependencies: [
          dependency(`models:/${model.name}/${model.version}`, model.digest),
          ...(base === undefined ? [] : [dependency(`oci:${base.name}`, base.digest)]),
          ...(source === undefined ? [] : [{ uri: source.uri, digest: { gitCommit: source.commit } }]),
        ],
      },
      runDetails: {
        builder: { id: "urn:espalier:builder:package:v1", version: { espalier: facts.espalierVersion } },
        metadata: run === undefined ? undefined : { invocationId: run.id },
      },
    },
  });
}

/** A bill of materials as a statement about the image, which is what can be signed. */
export function billStatement(facts: ImageFacts, bill: Uint8Array): Uint8Array {
  return document({
    _type: "https://in-toto.io/Statement/v1",
    subject: [subjectOf(facts)],
    predicateType: cyclonedxPredicateType,
    predicate: JSON.parse(Buffer.from(bill).toString("utf8")) as Json,
  });
}

const subjectOf = (facts: ImageFacts): object => ({
  name: facts.name,
  digest: { sha256: facts.digest.slice(7) },
});

function document(value: object): Uint8Array {
  return Buffer.from(canonicalJson(value));
}
