import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { z } from "zod";
import { canonicalJson, type Digest, digestOfBytes } from "../canonical-json.ts";
import { EspalierError } from "../errors.ts";
import type { Attachment } from "./attachments.ts";
import { inTotoType } from "./documents.ts";
import { ociConfigType } from "./media-types.ts";

const simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json";
const signatureAnnotation = "dev.cosignproject.cosign/signature";
const envelopeType = "application/vnd.dsse.envelope.v1+json";

/** A private key on the curve P-256, as cosign's keys are. */
export interface SigningKey {
  /** PEM. */
  publicKey: string;
  /** ECDSA with SHA-256, DER. */
  sign(bytes: Uint8Array): Uint8Array;
  verifies(bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** INVALID_INPUT, without a word of the key. `passphrase` is for an encrypted PKCS #8 key. */
export function readSigningKey(pem: string, passphrase?: string): SigningKey {
  if (/ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY/.test(pem)) {
    throw new EspalierError("INVALID_INPUT", "This key is in cosign's own encrypted form, which only cosign reads", {
      hint: "Make one with `openssl ecparam -name prime256v1 -genkey -noout`; `cosign verify --key` takes its public half.",
    });
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: "pem", ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // OpenSSL's message could quote the key.
    throw new EspalierError("INVALID_INPUT", "The signing key is no private key in PEM that can be read", {
      hint:
        passphrase === undefined ? "If it is encrypted, set ESPALIER_SIGNING_PASSPHRASE." : "Is the passphrase right?",
    });
  }
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new EspalierError("INVALID_INPUT", "The signing key must be an ECDSA key on the curve P-256", {
      hint: "openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
    });
  }
  const publicKey = createPublicKey(key);
  return {
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    sign: (bytes) => sign("sha256", bytes, key),
    verifies: (bytes, signature) => verify("sha256", bytes, publicKey, signature),
  };
}

/** What a signature of an image says, in cosign's form ("simple signing"). `name`: registry and repository. */
export function signaturePayload(name: string, image: Digest): Uint8Array {
  return Buffer.from(
    canonicalJson({
      critical: {
        identity: { "docker-reference": name },
        image: { "docker-manifest-digest": image },
        type: "cosign container image signature",
      },
      optional: null,
    }),
  );
}

/** Where cosign looks for the signatures, or attestations, of an image. */
export function cosignTag(image: Digest, suffix: "sig" | "att"): string {
  return `${image.replace(":", "-")}.${suffix}`;
}

type Layer = Attachment["layers"][number];

/** A signature as `cosign verify --key` reads it. ECDSA signatures differ each time: see `hasSignature` before making one more. */
export function signatureLayer(key: SigningKey, payload: Uint8Array): Layer {
  const signature = Buffer.from(key.sign(payload)).toString("base64");
  return { mediaType: simpleSigningType, content: payload, annotations: { [signatureAnnotation]: signature } };
}

/** Signatures stand together in one manifest that refers to the image and has the tag where cosign looks. */
export function signatureAttachment(image: Digest, layers: readonly Layer[]): Attachment {
  return {
    artifactType: "application/vnd.dev.cosign.artifact.sig.v1+json",
    layers,
    config: cosignConfig(layers),
    tag: cosignTag(image, "sig"),
  };
}

/** The signature of a statement (DSSE), as `cosign verify-attestation --key` reads it. */
export function attestationLayer(key: SigningKey, statement: Uint8Array, predicateType: string): Layer {
  const sig = Buffer.from(key.sign(preAuthenticated(statement))).toString("base64");
  const payload = Buffer.from(statement).toString("base64");
  const envelope = { payloadType: inTotoType, payload, signatures: [{ keyid: "", sig }] };
  return {
    mediaType: envelopeType,
    content: Buffer.from(canonicalJson(envelope)),
    annotations: { [signatureAnnotation]: "", predicateType },
  };
}

export function attestationAttachment(image: Digest, layers: readonly Layer[]): Attachment {
  return {
    artifactType: envelopeType,
    layers,
    config: cosignConfig(layers),
    tag: cosignTag(image, "att"),
  };
}

/** cosign keeps signatures in what is an image to older registries. */
function cosignConfig(layers: readonly Layer[]): { mediaType: string; content: Uint8Array } {
  const content = canonicalJson({
    architecture: "",
    os: "",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOfBytes(layer.content)) },
  });
  return { mediaType: ociConfigType, content: Buffer.from(content) };
}

/** Whether one of the layers is this key's signature of the payload. */
export function hasSignature(key: SigningKey, layers: readonly Layer[], payload: Uint8Array): boolean {
  return layers.some((layer) => {
    const signature = layer.annotations?.[signatureAnnotation];
    if (signature === undefined || !Buffer.from(payload).equals(layer.content)) return false;
    return key.verifies(layer.content, Buffer.from(signature, "base64"));
  });
}

/** Whether one of the layers is an envelope of this statement with this key's signature. */
export function hasAttestation(key: SigningKey, layers: readonly Layer[], statement: Uint8Array): boolean {
  return layers.some((layer) => {
    const envelope = envelopeSchema.safeParse(parsed(layer.content)).data;
    if (envelope === undefined || !Buffer.from(envelope.payload, "base64").equals(statement)) return false;
    const signed = preAuthenticated(statement);
    return envelope.signatures.some(({ sig }) => key.verifies(signed, Buffer.from(sig, "base64")));
  });
}

const envelopeSchema = z.looseObject({
  payload: z.string(),
  signatures: z.array(z.looseObject({ sig: z.string() })),
});

function parsed(content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** What DSSE signs: the statement with its type, each with its length, so that nothing can pass for something else. */
function preAuthenticated(statement: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${inTotoType.length} ${inTotoType} ${statement.byteLength} `;
  return Buffer.concat([Buffer.from(head), statement]);
}
