import { servingHeaders, toEspalierError } from "@espalier/core";
import { givenEventTime, givenPredictionId, givenRequestId } from "../http/request-identity.ts";
import { observeAnswer } from "../observe-answer.ts";
import { predict } from "../predict.ts";
import { type V2Request, v2Request } from "../protocol/v2/request.ts";
import { selectOutputs } from "../protocol/v2/response.ts";
import type { ServedModel } from "../repository/served-model.ts";
import type { Serving } from "../serving.ts";
import type { GrpcAnswer, GrpcCall, GrpcMethod } from "./calls.ts";
import { type GrpcParameter, type InferRequest, inferRequest, inferResponse, streamInferResponse } from "./messages.ts";
import { answerTensors, refuseSharedMemory, tensorsOf } from "./tensors.ts";

/** ModelInfer: one request, one answer. */
export function inferMethod(serving: Serving): GrpcMethod {
  return { answer: (message, call) => answerInfer(serving, message, call) };
}

/** ModelStreamInfer: any number of requests; one that fails is answered by its error, and the stream goes on. */
export function streamInferMethod(serving: Serving): GrpcMethod {
  return {
    streams: true,
    async answer(message, call) {
      try {
        const { message: answer } = await answerInfer(serving, message, call);
        return { message: streamInferResponse.encode({ infer_response: inferResponse.decode(answer) }) };
      } catch (thrown) {
        const error = toEspalierError(thrown);
        if (error.code === "INTERNAL") console.error(thrown);
        const id = requestId(message);
        return { message: streamInferResponse.encode({ error_message: error.message, infer_response: { id } }) };
      }
    },
  };
}

/** By it a client tells which of its requests has failed. */
function requestId(message: Buffer): string {
  try {
    return inferRequest.decode(message).id;
  } catch {
    // The message itself is what was wrong.
    return "";
  }
}

async function answerInfer(serving: Serving, message: Buffer, call: GrpcCall): Promise<GrpcAnswer> {
  const startedAt = performance.now();
  const { traceparent, tracestate } = call.headers;
  const trace = serving.tracing?.begin("predict", { traceparent, tracestate }, startedAt);
  let rows = 0;
  let status = 200;
  let found: ServedModel | undefined;
  let fault: unknown;
  try {
    const request = inferRequest.decode(message);
    const capture = call.headers[servingHeaders.capture];
    return await predict<V2Request, GrpcAnswer>(
      serving,
      {
        model: request.model_name === "" ? undefined : request.model_name,
        version: request.model_version === "" ? undefined : request.model_version,
        startedAt,
        predictionId: givenPredictionId(call),
        eventTime: givenEventTime(call),
        capture: capture === undefined ? undefined : capture === "1",
        deadline: call.deadline,
        signal: call.signal,
        trace,
        parse(signature, served) {
          found = served;
          const { model } = served;
          const parsed = parseInfer(request, signature);
          rows = parsed.table.rows;
          // A parameter that the model does not know is a hint to somebody else.
          if (model.takesParams !== true) delete parsed.params;
          return parsed;
        },
      },
      ({ served, parsed, predictionId, outputs }) => {
        const selected = selectOutputs(outputs, parsed.outputs, rows).map(({ output }) => output);
        const id = parsed.id ?? predictionId;
        const response = inferResponse.encode({
          model_name: served.name,
          model_version: served.version,
          id,
          ...answerTensors(selected, rows, request.raw_input_contents.length > 0),
        });
        // A header that is another one in every answer costs more than the answer: what the message says is not said twice.
        return id === predictionId
          ? { message: response }
          : { message: response, headers: { [servingHeaders.predictionId]: predictionId } };
      },
    );
  } catch (error) {
    status = toEspalierError(error).httpStatus;
    fault = error;
    throw error;
  } finally {
    observeAnswer(serving, {
      protocol: "grpc",
      status,
      startedAt,
      rows,
      served: found,
      requestId: givenRequestId(call),
      traceparent,
      trace,
      error: fault,
    });
  }
}

/** The request as the same one in JSON would be. Errors: INVALID_INPUT naming the tensor or column, UNSUPPORTED. */
function parseInfer(request: InferRequest, signature: Parameters<typeof v2Request>[1]): V2Request {
  const outputs = request.outputs.map(({ name = "", parameters }) => {
    refuseSharedMemory(name, parameters);
    return { name, parameters: plainParameters(parameters) };
  });
  const { id, parameters } = request;
  return v2Request({ id, tensors: tensorsOf(request), outputs, parameters: plainParameters(parameters) }, signature);
}

function plainParameters(parameters: ReadonlyMap<string, Partial<GrpcParameter>> | undefined): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [name, given] of parameters ?? []) {
    plain[name] =
      given.bool_param ?? given.int64_param ?? given.string_param ?? given.double_param ?? given.uint64_param;
  }
  return plain;
}
