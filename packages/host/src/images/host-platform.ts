import type { ImagePlatform } from "@espalier/core";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** This machine in OCI's words; undefined where it is none that an image runs on. */
export function hostPlatform(): ImagePlatform | undefined {
  const architecture = architectures[process.arch];
  return process.platform === "linux" && architecture !== undefined ? { os: "linux", architecture } : undefined;
}

/** Node's and npm's word for an architecture. */
export function nodeArchitecture({ architecture }: ImagePlatform): string {
  return Object.keys(architectures).find((name) => architectures[name] === architecture) ?? architecture;
}
