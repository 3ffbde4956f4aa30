"""tritonclient's asyncio forms, many calls at once on one connection."""

import asyncio

import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from support import AMOUNT, CITY, GRADE, SUITE, TOTAL


def prices(module, amount):
    inputs = []
    for name, values, datatype in [("amount", amount, "FP64"), ("grade", GRADE, "INT64"), ("city", CITY, "BYTES")]:
        tensor = module.InferInput(name, [3], datatype)
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return inputs


@pytest.mark.parametrize(
    ("module", "place"),
    [(tritonclient.http, "repository"), (tritonclient.grpc, "repository_grpc"), (tritonclient.http, "router")],
    ids=["http", "grpc", "router"],
)
def test_many_calls_at_once(module, place):
    async def ask():
        async with module.aio.InferenceServerClient(SUITE[place]) as client:
            calls = [client.infer("prices", prices(module, AMOUNT + step)) for step in range(200)]
            return await asyncio.gather(*calls)

    for step, result in enumerate(asyncio.run(ask())):
        assert result.as_numpy("total").ravel().tolist() == (TOTAL + step).tolist()


def test_stream():
    async def ask():
        async def requests():
            for step in range(100):
                inputs = prices(tritonclient.grpc, AMOUNT + step)
                yield {"model_name": "prices", "inputs": inputs, "request_id": str(step)}

        async with tritonclient.grpc.aio.InferenceServerClient(SUITE["repository_grpc"]) as client:
            return [answer async for answer in client.stream_infer(requests())]

    answers = asyncio.run(ask())
    assert len(answers) == 100
    for step, (result, error) in enumerate(answers):
        assert error is None
        assert result.as_numpy("total").ravel().tolist() == (TOTAL + step).tolist()
