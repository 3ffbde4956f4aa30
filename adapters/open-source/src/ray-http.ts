import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

export interface HttpAnswer {
  status: number;
  text: string;
}

/**
 * One request with `node:http`. Not fetch: its `Sec-Fetch-Mode` header makes Ray take us for a browser, from which it accepts no change
 * ("method not allowed for browser traffic", `is_browser_request` of its dashboard).
 */
export function sendRequest(
  url: string,
  options: {
    method: string;
    headers: Readonly<Record<string, string>>;
    body?: string | Uint8Array;
    signal: AbortSignal;
  },
): Promise<HttpAnswer> {
  const { method, headers, body, signal } = options;
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const length = bytes === undefined ? {} : { "content-length": bytes.length };
  return new Promise((resolve, reject) => {
    const open = url.startsWith("https:") ? requestHttps : requestHttp;
    const request = open(url, { method, signal, headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.end(bytes);
  });
}
