import type { Socket } from "node:net";
import type { ErrorBody } from "@espalier/contract";
import type { ErrorCode } from "@espalier/core";

type ConnectionError = Error & { code?: string };

interface Refusal {
  status: string;
  code: ErrorCode;
  message: string;
}

/** What Node's parser finds before there is a request: bytes that are no HTTP, headers without end, headers that do not come. */
function refusalOf({ code }: ConnectionError): Refusal {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return { status: "408 Request Timeout", code: "TIMEOUT", message: "The request did not come in time" };
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return { status: "431 Request Header Fields Too Large", code: "TOO_LARGE", message: "The headers are too large" };
  }
  return { status: "400 Bad Request", code: "INVALID_INPUT", message: "This is not a request of HTTP/1.1" };
}

/** Answers in the form that every other error has, and ends the connection: what follows on it can not be told apart. */
export function answerClientError(error: ConnectionError, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const { status, code, message } = refusalOf(error);
  const body: ErrorBody = { error: { code, message, details: {} } };
  const text = JSON.stringify(body);
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\nx-content-type-options: nosniff\r\n` +
        `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
    );
  }
  socket.destroySoon();
}
