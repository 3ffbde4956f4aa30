import type { ToolManifest } from "@espalier/core";
import { z } from "zod";

export const ociConfigSchema = z
  .strictObject({
    registry: z
      .string()
      .regex(/^[A-Za-z0-9[][A-Za-z0-9.:\][-]*$/, "a host, such as registry.example.com:5000")
      .describe("Host, with its port where it is not the usual one."),
    prefix: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._/-]*[a-z0-9]$/, "lower-case letters and digits, parted by '/', '.', '_' or '-'")
      .optional()
      .describe("Put before the name of every repository, such as `team-a`."),
    plain_http: z
      .boolean()
      .optional()
      .describe("true: no TLS. A registry on this machine's loopback is spoken to so unless told otherwise."),
    username: z
      .string()
      .min(1)
      .optional()
      .describe("With `password_secret`; else what `podman login` or `docker login` wrote."),
    password_secret: z.string().min(1).optional().describe("Name of the secret that holds the password or token."),
  })
  .refine(
    (config) => (config.username === undefined) === (config.password_secret === undefined),
    "`username` and `password_secret` go together",
  );
export type OciConfig = z.infer<typeof ociConfigSchema>;

export const ociManifest: ToolManifest = {
  tool: "oci",
  provider: "open-source",
  component: "packages",
  milestone: 9,
  summary: "Models and images in any registry that speaks the OCI distribution protocol",
  capabilities: ["shared", "referrers"],
  skills: ["linux", "containers"],
  ownership: {
    place: "own servers",
    setUpHours: [2, 8],
    hoursAMonth: [1, 3],
    dollarsAMonth: [10, 60],
    lockIn: 0,
    wayOut: "a standard protocol; images are copied by skopeo",
    source: "estimate of this project, 2026-11; prices of small rented servers",
    asOf: "2026-11-27",
  },
  permissions: ["pull and push in the repository"],
  cost: { money: "disks and a server, or a provider's price a GB", operations: "one registry" },
  verified: {
    label: "real",
    against: "Debian's docker-registry 2.8.2, with skopeo 1.9, Podman 4.3 and cosign 2.6",
    live: "not applicable",
  },
  losses: [
    "A registry without the referrers API keeps the list of what refers to an image under a tag; of two clients that attach at the same instant one may be missing there.",
  ],
};
