import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, sep } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

interface WebFile {
  bytes: Buffer;
  type: string;
  tag: string;
}

/** The built web UI, read once: a few small files, so that no path of a client ever reaches the disk. */
export interface WebFiles {
  /** false: it is not built. */
  isBuilt: boolean;
  /** Routes of all files but the page itself. */
  register(app: FastifyInstance): void;
  /** The one page; what the address says is read by its script. */
  page(reply: FastifyReply): FastifyReply;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".json": "application/json; charset=utf-8",
};

/** Scripts and styles of ours only: markup in a name or a log does nothing even where a page would show it as markup. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export async function readWebFiles(folder: string): Promise<WebFiles> {
  const files = new Map<string, WebFile>();
  const names = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw error;
  });
  for (const name of names) {
    const type = types[extname(name)];
    if (type === undefined || name.startsWith(".")) continue;
    const bytes = await readFile(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    // Somebody builds the pages anew just now.
    if (bytes === undefined) return readWebFiles(folder);
    files.set(name.split(sep).join("/"), {
      bytes,
      type,
      tag: `"${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}"`,
    });
  }
  const index = files.get("index.html");
  return {
    isBuilt: index !== undefined,
    register(app) {
      for (const [name, file] of files) {
        if (name === "index.html" || name.endsWith(".json")) continue;
        app.get(`/${name}`, { config: { policy: "open" } }, (request, reply) => send(request, reply, file, name));
      }
    },
    page(reply) {
      return reply
        .headers({ "content-security-policy": contentSecurityPolicy, "cache-control": "no-cache" })
        .type(types[".html"] as string)
        .send(index?.bytes);
    },
  };
}

/** Names of built files hold a hash of their content, so they never change. */
function send(request: FastifyRequest, reply: FastifyReply, { bytes, type, tag }: WebFile, name: string): FastifyReply {
  void reply
    .header("etag", tag)
    .header("cache-control", name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache");
  if (request.headers["if-none-match"] === tag) return reply.status(304).send();
  return reply.type(type).send(bytes);
}

/** A browser that opens an address, as against a program that asks, and a file that a page loads. */
export function isNavigation({ method, headers }: FastifyRequest): boolean {
  if (method !== "GET") return false;
  return (headers.accept ?? "").split(",").some((part) => part.trim().toLowerCase().startsWith("text/html"));
}
