import { connect } from "node:http2";

/** A gRPC call whose bytes no library would send. Resolves with the answer's headers and trailers, once the call is closed. */
export async function rawGrpcCall(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<Record<string, unknown>> {
  const session = connect(`http://127.0.0.1:${port}`);
  const request = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", ...headers });
  const answered: Record<string, unknown> = {};
  request.on("response", (given) => Object.assign(answered, given));
  request.on("trailers", (given) => Object.assign(answered, given));
  request.resume();
  request.end(body);
  await new Promise((resolve) => request.once("close", resolve));
  session.close();
  return answered;
}
