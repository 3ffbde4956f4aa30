import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

/** Sends a whole answer at once; nothing when one is sent already or the caller is gone. */
export function reply(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  contentType = "application/json",
  headers: OutgoingHttpHeaders = {},
): void {
  if (response.headersSent || response.destroyed) return;
  headers["content-type"] = contentType;
  headers["content-length"] = Buffer.byteLength(body);
  response.writeHead(status, headers);
  response.end(body);
}
