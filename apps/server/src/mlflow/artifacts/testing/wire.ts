import { readdir } from "node:fs/promises";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";

export interface WireAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where it is not there.
  json(): any;
}

/** HTTP as it is on the wire: unlike `fetch`, the path is sent as it stands. */
export function wire(
  url: string,
  method: string,
  path: string,
  body?: string | Uint8Array | AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string | number>> = {},
): Promise<WireAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const { statusCode = 0, headers: received } = answer;
        resolve({ status: statusCode, headers: received, body: bytes, json: () => JSON.parse(bytes.toString("utf8")) });
      });
    });
    sent.on("error", reject);
    if (body === undefined || typeof body === "string" || body instanceof Uint8Array) sent.end(body);
    else Readable.from(body).pipe(sent);
  });
}

/** Every file below a folder, by its path in it; none when there is no folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, recursive: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}
