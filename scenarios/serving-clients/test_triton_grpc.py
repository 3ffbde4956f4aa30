"""tritonclient[grpc], whose tensors are raw, and its stubs, which send typed contents too."""

import queue

import grpc as grpcio
import numpy
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support import AMOUNT, CITY, FLAGS, GRADE, LONGS, REALS, SUITE, TEXTS, TOTAL, check_echo, echo_inputs
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException


def prices(amount=AMOUNT, grade=GRADE, city=CITY):
    inputs = []
    for name, values, datatype in [("amount", amount, "FP64"), ("grade", grade, "INT64"), ("city", city, "BYTES")]:
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return inputs


def test_health_and_metadata(grpc):
    assert grpc.is_server_live()
    assert grpc.is_server_ready()
    assert grpc.is_model_ready("prices")
    assert grpc.is_model_ready("prices", "1")
    assert grpc.get_server_metadata().name == "espalier"
    metadata = grpc.get_model_metadata("prices", as_json=True)
    assert [(tensor["name"], tensor["datatype"]) for tensor in metadata["inputs"]] == [
        ("amount", "FP64"),
        ("grade", "INT64"),
        ("city", "BYTES"),
    ]
    assert metadata["platform"] == "onnxruntime_onnx"


def test_unknown_model_is_not_found(grpc):
    for call in [grpc.is_model_ready, grpc.get_model_metadata, grpc.get_model_config, grpc.get_inference_statistics]:
        with pytest.raises(InferenceServerException) as caught:
            call("absent")
        assert caught.value.status() == "StatusCode.NOT_FOUND"
        assert "absent" in caught.value.message()


def test_infer(grpc):
    result = grpc.infer("prices", prices(), request_id="call-7")
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("call-7", "prices", "1")


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed(grpc, algorithm):
    result = grpc.infer("prices", prices(), compression_algorithm=algorithm)
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()


def test_every_bit_comes_back(grpc):
    check_echo(grpc.infer("echo", echo_inputs(triton)))


def typed(name, datatype, field, values):
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=[len(values), 1])
    getattr(tensor.contents, field).extend(values)
    return tensor


def typed_echo():
    return service_pb2.ModelInferRequest(
        model_name="echo",
        inputs=[
            typed("number", "INT64", "int64_contents", LONGS.tolist()),
            typed("text", "BYTES", "bytes_contents", TEXTS.tolist()),
            typed("flag", "BOOL", "bool_contents", FLAGS.tolist()),
            typed("real", "FP64", "fp64_contents", REALS.tolist()),
        ],
    )


@pytest.fixture
def stub():
    with grpcio.insecure_channel(SUITE["repository_grpc"]) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_typed_contents_are_answered_typed(stub):
    response = stub.ModelInfer(typed_echo())
    assert len(response.raw_output_contents) == 0
    outputs = {output.name: output.contents for output in response.outputs}
    assert list(outputs["number_out"].int64_contents) == LONGS.tolist()
    assert list(outputs["text_out"].bytes_contents) == TEXTS.tolist()
    assert list(outputs["flag_out"].bool_contents) == FLAGS.tolist()
    assert list(outputs["real_out"].fp64_contents) == REALS.tolist()


def test_typed_and_raw_do_not_mix(stub):
    request = typed_echo()
    for values in [LONGS.tobytes(), b"", FLAGS.tobytes(), REALS.tobytes()]:
        request.raw_input_contents.append(values)
    with pytest.raises(grpcio.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpcio.StatusCode.INVALID_ARGUMENT
    assert "raw_input_contents" in caught.value.details()


def test_raw_contents_are_for_all_inputs(stub):
    request = service_pb2.ModelInferRequest(model_name="echo", inputs=typed_echo().inputs)
    for tensor in request.inputs:
        tensor.ClearField("contents")
    request.raw_input_contents.append(LONGS.tobytes())
    with pytest.raises(grpcio.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() == grpcio.StatusCode.INVALID_ARGUMENT


def test_half_precision_goes_raw(grpc, stub):
    rows = numpy.linspace(0, 1, 60).reshape(2, 30).astype(numpy.float16)
    answers = []
    for values, datatype in [(rows, "FP16"), (rows.astype(numpy.float32), "FP32")]:
        tensor = triton.InferInput("input", [2, 30], datatype)
        tensor.set_data_from_numpy(values)
        answers.append(grpc.infer("tree", [tensor]).as_numpy("probability").tolist())
    assert answers[0] == answers[1]
    request = service_pb2.ModelInferRequest(model_name="half")
    request.inputs.append(typed("value", "FP64", "fp64_contents", [0.1, 65504.0]))
    answer = triton.InferResult(stub.ModelInfer(request)).as_numpy("half")
    assert answer.dtype == numpy.float16
    assert answer.ravel().tolist() == [float(numpy.float16(0.1)), 65504.0]


def test_large_batch(grpc):
    rows = 50_000
    amount = numpy.arange(rows, dtype=numpy.float64)
    grade = numpy.arange(rows) % 4
    city = numpy.array([b"north", b"south"] * (rows // 2), dtype=object)
    result = grpc.infer("prices", prices(amount, grade, city))
    expected = amount + grade * 10 + numpy.where(numpy.arange(rows) % 2 == 0, 100, 200)
    assert numpy.array_equal(result.as_numpy("total").ravel(), expected.astype(numpy.float32))


def test_async(grpc):
    answers = queue.Queue()
    for step in range(50):
        grpc.async_infer(
            "prices",
            prices(AMOUNT + step),
            callback=lambda result, error, step=step: answers.put((step, result, error)),
        )
    for _ in range(50):
        step, result, error = answers.get(timeout=60)
        assert error is None
        assert result.as_numpy("total").ravel().tolist() == (TOTAL + step).tolist()


def test_stream(grpc):
    """Answers come in the order of the requests; one that fails does not end the stream."""
    answers = queue.Queue()
    grpc.start_stream(callback=lambda result, error: answers.put((result, error)))
    for step in range(200):
        model = "absent" if step == 100 else "prices"
        grpc.async_stream_infer(model, prices(AMOUNT + step), request_id=str(step))
    for step in range(200):
        result, error = answers.get(timeout=60)
        if step == 100:
            assert "absent" in str(error)
            continue
        assert error is None
        assert result.get_response().id == str(step)
        assert result.as_numpy("total").ravel().tolist() == (TOTAL + step).tolist()
    grpc.stop_stream()


def refused(client, inputs, status, *words, model="prices", **options):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, **options)
    assert caught.value.status() == f"StatusCode.{status}"
    for word in words:
        assert word in caught.value.message()
    assert client.infer("prices", prices()).as_numpy("total").ravel().tolist() == TOTAL.tolist()


def test_wrong_requests(grpc):
    refused(grpc, prices(), "NOT_FOUND", "absent", model="absent")
    refused(grpc, prices(), "NOT_FOUND", "99", model_version="99")
    refused(grpc, prices()[:2], "INVALID_ARGUMENT", "city")
    refused(grpc, prices(amount=numpy.ones((3, 2))), "INVALID_ARGUMENT", "amount", "[3,2]")
    refused(grpc, prices(amount=numpy.ones(2)), "INVALID_ARGUMENT", "rows")
    refused(grpc, prices(), "INVALID_ARGUMENT", "nothing", outputs=[triton.InferRequestedOutput("nothing")])
    inputs = prices()
    inputs[1] = triton.InferInput("grade", [3], "BYTES")
    inputs[1].set_data_from_numpy(CITY)
    refused(grpc, inputs, "INVALID_ARGUMENT", "grade", "INT64", "BYTES")
    inputs = prices()
    inputs[0].set_shared_memory("region", 24)
    refused(grpc, inputs, "UNIMPLEMENTED", "shared memory")


def test_too_large_a_message(grpc):
    tensor = triton.InferInput("input", [200_000, 30], "FP32")
    tensor.set_data_from_numpy(numpy.zeros((200_000, 30), dtype=numpy.float32))
    refused(grpc, [tensor], "RESOURCE_EXHAUSTED", "bytes", model="tree")


def test_deadline(grpc):
    with pytest.raises(InferenceServerException) as caught:
        grpc.infer("prices", prices(), client_timeout=0.000001)
    # The client may give up by itself, or hear it from the server first.
    assert "deadline" in str(caught.value).lower()
    with pytest.raises(InferenceServerException) as caught:
        grpc.infer("prices", prices(), parameters={"timeout": "soon"})
    assert "timeout" in str(caught.value)
    assert grpc.infer("prices", prices(), client_timeout=30, timeout=30_000_000).as_numpy("total").size == 3


def test_unknown_methods_are_unimplemented(grpc):
    with pytest.raises(InferenceServerException) as caught:
        grpc.get_trace_settings()
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_statistics_and_configuration(grpc):
    before = grpc.get_inference_statistics("prices").model_stats[0]
    grpc.infer("prices", prices())
    after = grpc.get_inference_statistics("prices").model_stats[0]
    assert after.inference_count - before.inference_count == 3
    assert after.execution_count - before.execution_count == 1
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    config = grpc.get_model_config("prices").config
    assert config.name == "prices"
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.input] == [
        ("amount", 12, [1]),
        ("grade", 9, [1]),
        ("city", 13, [1]),
    ]


def test_index_unload_and_load(grpc):
    index = {model.name: model.state for model in grpc.get_model_repository_index().models}
    assert index["iris"] == "READY"
    grpc.unload_model("iris")
    assert not grpc.is_model_ready("iris")
    ready = grpc.get_model_repository_index(as_json=True)["models"]
    assert next(model for model in ready if model["name"] == "iris")["state"] == "UNAVAILABLE"
    grpc.load_model("iris")
    assert grpc.is_model_ready("iris")
    with pytest.raises(InferenceServerException) as caught:
        grpc.load_model("absent")
    assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_health_check():
    """What Kubernetes' gRPC probes ask."""
    with grpcio.insecure_channel(SUITE["repository_grpc"]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ["", "inference.GRPCInferenceService"]:
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpcio.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="other"))
        assert caught.value.code() == grpcio.StatusCode.NOT_FOUND
