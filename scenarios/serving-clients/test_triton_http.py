"""tritonclient[http], whose tensors are binary by default."""

from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import tritonclient.http as http
from support import AMOUNT, CITY, GRADE, TOTAL, check_echo, echo_inputs
from tritonclient.utils import InferenceServerException


def prices(amount=AMOUNT, grade=GRADE, city=CITY, binary=True):
    inputs = []
    for name, values, datatype in [("amount", amount, "FP64"), ("grade", grade, "INT64"), ("city", city, "BYTES")]:
        tensor = http.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    return inputs


def test_health_and_metadata(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("prices")
    assert not triton.is_model_ready("absent")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    metadata = triton.get_model_metadata("prices")
    assert [(tensor["name"], tensor["datatype"]) for tensor in metadata["inputs"]] == [
        ("amount", "FP64"),
        ("grade", "INT64"),
        ("city", "BYTES"),
    ]
    assert [(tensor["name"], tensor["datatype"]) for tensor in metadata["outputs"]] == [("total", "FP32")]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_forms_of_tensors(triton, binary_in, binary_out):
    outputs = [http.InferRequestedOutput("total", binary_data=binary_out)]
    result = triton.infer("prices", prices(binary=binary_in), outputs=outputs, request_id="call-7")
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()
    assert result.get_response()["id"] == "call-7"


def test_default_call(triton):
    result = triton.infer("prices", prices())
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()
    assert result.get_response()["model_name"] == "prices"
    assert result.get_response()["model_version"] == "7"


def test_columns_may_have_a_second_dimension_of_one(triton):
    column = (slice(None), None)
    result = triton.infer("prices", prices(AMOUNT[column], GRADE[column], CITY[column]))
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed(triton, algorithm):
    result = triton.infer(
        "prices", prices(), request_compression_algorithm=algorithm, response_compression_algorithm=algorithm
    )
    assert result.as_numpy("total").ravel().tolist() == TOTAL.tolist()


def test_async(triton):
    calls = [triton.async_infer("prices", prices(AMOUNT + step)) for step in range(20)]
    for step, call in enumerate(calls):
        assert call.get_result().as_numpy("total").ravel().tolist() == (TOTAL + step).tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_large_batch(triton, binary):
    rows = 50_000
    amount = numpy.arange(rows, dtype=numpy.float64)
    grade = numpy.arange(rows) % 4
    city = numpy.array([b"north", b"south"] * (rows // 2), dtype=object)
    outputs = [http.InferRequestedOutput("total", binary_data=binary)]
    result = triton.infer("prices", prices(amount, grade, city, binary), outputs=outputs)
    expected = amount + grade * 10 + numpy.where(numpy.arange(rows) % 2 == 0, 100, 200)
    assert numpy.array_equal(result.as_numpy("total").ravel(), expected.astype(numpy.float32))


def test_one_bad_row_fails_alone(place):
    def ask(index):
        grade = numpy.array([index % 4 if index % 10 else 9])
        with http.InferenceServerClient(place) as client:
            try:
                inputs = prices(numpy.array([float(index)]), grade, numpy.array([b"north"], dtype=object))
                return client.infer("prices", inputs).as_numpy("total").item()
            except InferenceServerException as error:
                return error.status()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(100)))
    for index, answer in enumerate(answers):
        if index % 10 == 0:
            assert str(answer).startswith(("4", "5"))
        else:
            assert answer == index + (index % 4) * 10 + 100


def refused(client, inputs, status, *words, model="prices", **options):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, **options)
    assert caught.value.status() == str(status)
    for word in words:
        assert word in caught.value.message()
    assert client.infer("prices", prices()).as_numpy("total").ravel().tolist() == TOTAL.tolist()


def test_unknown_model_and_version(triton):
    refused(triton, prices(), 404, "absent", model="absent")
    refused(triton, prices(), 404, "99", model_version="99")


def test_wrong_datatype(triton):
    inputs = prices()
    inputs[1] = http.InferInput("grade", [3], "BYTES")
    inputs[1].set_data_from_numpy(CITY)
    refused(triton, inputs, 400, "grade", "INT64", "BYTES")


def test_wrong_shape(triton):
    refused(triton, prices(amount=numpy.ones((3, 2))), 400, "amount", "[3,2]")
    refused(triton, prices(amount=numpy.ones(2)), 400, "rows")


def test_wrong_names(triton):
    refused(triton, prices()[:2], 400, "city")
    extra = http.InferInput("weight", [3], "FP64")
    extra.set_data_from_numpy(AMOUNT)
    refused(triton, [*prices(), extra], 400, "weight")
    refused(triton, prices(), 400, "nothing", outputs=[http.InferRequestedOutput("nothing")])


def test_every_bit_comes_back(repository):
    check_echo(repository.infer("echo", echo_inputs(http)))


def test_every_bit_comes_back_as_json(repository):
    inputs = echo_inputs(http)
    for tensor, values in zip(inputs, ["LONGS", "TEXTS", "FLAGS", "REALS"]):
        column = getattr(__import__("support"), values).reshape(-1, 1)
        tensor.set_data_from_numpy(column, binary_data=False)
    names = ["number_out", "text_out", "flag_out", "real_out"]
    outputs = [http.InferRequestedOutput(name, binary_data=False) for name in names]
    check_echo(repository.infer("echo", inputs, outputs=outputs))


def test_half_precision(repository):
    rows = numpy.linspace(0, 1, 60).reshape(2, 30).astype(numpy.float16)
    answers = []
    for values, datatype in [(rows, "FP16"), (rows.astype(numpy.float32), "FP32")]:
        tensor = http.InferInput("input", [2, 30], datatype)
        tensor.set_data_from_numpy(values)
        answers.append(repository.infer("tree", [tensor]).as_numpy("probability").tolist())
    assert answers[0] == answers[1]


def test_half_precision_comes_back(repository):
    tensor = http.InferInput("value", [2, 1], "FP64")
    tensor.set_data_from_numpy(numpy.array([[0.1], [65504.0]]))
    answer = repository.infer("half", [tensor]).as_numpy("half")
    assert answer.dtype == numpy.float16
    assert answer.ravel().tolist() == [float(numpy.float16(0.1)), 65504.0]
