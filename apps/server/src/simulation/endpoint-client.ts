import { Agent, request } from "node:http";
import { type ColumnType, columnDatatype, servingHeaders } from "@espalier/core";

export interface Prediction {
  id: string;
  /** ms since the epoch. */
  eventTime: number;
  /** One list a column, in the order of the inputs. */
  columns: readonly (readonly unknown[])[];
  rows: number;
}

export interface EndpointClient {
  /** The HTTP status, or 0 when nothing answered. */
  infer(prediction: Prediction): Promise<number>;
  close(): void;
}

/** Sends Open Inference Protocol V2 requests, as any client of the endpoint would, over connections that are kept. */
export function createEndpointClient(
  url: string,
  endpoint: string,
  inputs: readonly { name: string; type: ColumnType }[],
  connections: number,
): EndpointClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const address = new URL(`/v2/models/${encodeURIComponent(endpoint)}/infer`, url);
  const tensorHeads = inputs.map(
    ({ name, type }) => `{"name":${JSON.stringify(name)},"datatype":"${columnDatatype[type]}","shape":[`,
  );

  function bodyOf({ columns, rows }: Prediction): string {
    const tensors = tensorHeads.map((head, index) => `${head}${rows}],"data":${JSON.stringify(columns[index] ?? [])}}`);
    return `{"inputs":[${tensors.join(",")}]}`;
  }

  const send = (body: Buffer, prediction: Prediction): Promise<number> =>
    new Promise((resolve) => {
      const outgoing = request(
        address,
        {
          method: "POST",
          agent,
          headers: {
            "content-type": "application/json",
            "content-length": body.length,
            [servingHeaders.predictionId]: prediction.id,
            // While a canary runs, the same request goes to the same version in every replay.
            [servingHeaders.stickyKey]: prediction.id,
            [servingHeaders.eventTime]: new Date(prediction.eventTime).toISOString(),
          },
        },
        (response) => {
          response.resume();
          response.once("end", () => resolve(response.statusCode ?? 0));
          response.once("error", () => resolve(0));
        },
      );
      outgoing.once("error", () => resolve(0));
      outgoing.end(body);
    });

  return {
    infer: async (prediction) => {
      const body = Buffer.from(bodyOf(prediction));
      const status = await send(body, prediction);
      // A kept connection may be closed just as it is used; the id makes a second try harmless.
      return status === 0 ? send(body, prediction) : status;
    },
    close: () => agent.destroy(),
  };
}
