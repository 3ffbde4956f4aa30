import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

/** Sends a whole answer at once; after TOO_LARGE the unread rest of the request forbids reuse of the connection. */
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
  if (status === 413) headers.connection = "close";
  response.writeHead(status, headers);
  response.end(body);
}
