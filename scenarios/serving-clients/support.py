"""What scripts/servers/serving.ts started, and the rows that the tests send."""

import json
import os

import numpy

SUITE = json.loads(os.environ["ESPALIER_SUITE"])

# `total = amount + [0, 10, 20, 30][grade] + {north: 100, south: 200}[city]`, of the repository's own generator.
AMOUNT = numpy.array([1.5, 2.5, 4.0])
GRADE = numpy.array([0, 1, 3])
CITY = numpy.array([b"north", b"south", b"elsewhere"], dtype=object)
TOTAL = numpy.array([101.5, 212.5, 34.0], dtype=numpy.float32)

# Neither end of 64 bits nor the first integer above 53 bits is a double.
LONGS = numpy.array([2**63 - 1, -(2**63), 2**53 + 1, 0, -1])
TEXTS = numpy.array(["é".encode(), b"", "漢字".encode(), b"x" * 1000, b'"quoted"'], dtype=object)
FLAGS = numpy.array([True, False, True, True, False])
REALS = numpy.array([0.1, -1e300, 5e-324, 0.0, 3.0])


def echo_inputs(client_module):
    """The inputs of the model `echo`, for either of tritonclient's modules."""
    inputs = []
    for name, values, datatype in [
        ("number", LONGS, "INT64"),
        ("text", TEXTS, "BYTES"),
        ("flag", FLAGS, "BOOL"),
        ("real", REALS, "FP64"),
    ]:
        tensor = client_module.InferInput(name, [len(values), 1], datatype)
        tensor.set_data_from_numpy(values.reshape(-1, 1))
        inputs.append(tensor)
    return inputs


def check_echo(result):
    for name, values in [("number", LONGS), ("text", TEXTS), ("flag", FLAGS), ("real", REALS)]:
        answer = result.as_numpy(f"{name}_out")
        assert answer.dtype == values.dtype
        assert answer.shape == (len(values), 1)
        # Text that came as JSON is text, and bytes otherwise.
        given = [value.encode() if isinstance(value, str) else value for value in answer.ravel().tolist()]
        assert given == values.tolist()
