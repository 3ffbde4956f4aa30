import { z } from "zod";
import { apiPrefix, defineRoutes, digestSchema, instantSchema } from "../route.ts";
import { modelNameSchema } from "./models.ts";

const bytes = z.number();
const text = z.string().min(1).max(4000);

/** What an image came to. */
const packagedImageSchema = z.object({
  /** With registry, tag and digest where it was pushed; a folder and a tag where it is a layout. */
  image: z.string(),
  digest: digestSchema,
  platforms: z.array(z.string()),
  layers: z.array(z.object({ platform: z.string(), what: z.string(), digest: digestSchema, bytes })),
  base: z.string().optional(),
  model: z.object({ name: z.string(), version: z.number(), digest: digestSchema }),
  gate: z.enum(["passed", "none"]),
  /** Documents beside the image. */
  attached: z.array(z.object({ type: z.string(), digest: digestSchema })),
  signed: z.boolean(),
  sentBytes: bytes,
  /** Were there already. */
  heldBytes: bytes,
});

export const packagingSchema = z.object({
  id: z.string(),
  state: z.enum(["running", "done", "failed"]),
  phase: z.string(),
  /** Of everything that the image holds. */
  totalBytes: bytes.optional(),
  sentBytes: bytes.optional(),
  heldBytes: bytes.optional(),
  result: packagedImageSchema.optional(),
  error: z
    .looseObject({ code: z.string(), message: z.string(), at: z.string().optional(), hint: z.string().optional() })
    .optional(),
  startedBy: z.string(),
  startedAt: instantSchema,
  finishedAt: instantSchema.optional(),
});
export type Packaging = z.infer<typeof packagingSchema>;
export type PackagedImage = z.infer<typeof packagedImageSchema>;

const identified = z.object({ packagingId: z.string() });

export const packagingRoutes = defineRoutes({
  "packagings.start": {
    method: "POST",
    path: `${apiPrefix}/packagings`,
    role: "admin",
    kind: "json",
    summary:
      "Makes an image of the model server with a registered version and pushes it; the same request again sends only what is missing",
    body: z.strictObject({
      model: modelNameSchema,
      /** A number, `latest` or `@alias`. */
      version: z.string().regex(/^([1-9]\d*|latest|@[A-Za-z0-9_-][A-Za-z0-9._-]{0,254})$/),
      /** host[:port]/repository[:tag]; without this and `layout` it goes to the stack's `packages`. */
      push: text.optional(),
      /** Instead: a folder on the control plane's machine that becomes, or is, an OCI layout. */
      layout: text.optional(),
      /** Of the image; the version's number unless told. */
      tag: text.optional(),
      /** An image in a registry, or a folder with an OCI layout; left out: the C libraries of the control plane's machine. */
      base: text.optional(),
      platforms: z.array(text).min(1).max(4).optional(),
      /** Path of the base's Python, for models that need one. */
      python: text.optional(),
      plainHttp: z.boolean().optional(),
      /** For the registry that is pushed to. Used for this image and kept nowhere. */
      credentials: z
        .strictObject({ username: z.string().min(1).max(1000), password: z.string().max(100_000) })
        .optional(),
      /** A private key in PEM. Used for this image and kept nowhere. */
      sign: z.strictObject({ key: z.string().max(100_000), passphrase: z.string().max(10_000).optional() }).optional(),
    }),
    response: packagingSchema,
  },
  "packagings.get": {
    method: "GET",
    path: `${apiPrefix}/packagings/:packagingId`,
    role: "viewer",
    kind: "json",
    summary: "One image that is or was made; forgotten when the control plane restarts",
    params: identified,
    response: packagingSchema,
  },
  "packagings.events": {
    method: "GET",
    path: `${apiPrefix}/packagings/:packagingId/events`,
    role: "viewer",
    kind: "events",
    summary: "Its progress as it happens",
    params: identified,
    response: packagingSchema,
  },
});
