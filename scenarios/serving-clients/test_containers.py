"""V1, and what the clouds send to a container, over plain `requests`."""

import io
import json

import pytest
import requests
from support import AMOUNT, GRADE, SUITE, TOTAL

RECORDS = [
    {"amount": float(amount), "grade": int(grade), "city": city}
    for amount, grade, city in zip(AMOUNT, GRADE, ["north", "south", "elsewhere"])
]


def post(place, path, body, **headers):
    return requests.post(f"http://{place}{path}", json=body, headers=headers, timeout=30)


def test_v1(place):
    answer = post(place, "/v1/models/prices:predict", {"instances": RECORDS})
    assert answer.json() == {"predictions": TOTAL.tolist()}
    assert requests.get(f"http://{place}/v1/models/prices", timeout=30).status_code == 200
    unknown = post(place, "/v1/models/absent:predict", {"instances": RECORDS})
    assert unknown.status_code == 404
    assert "absent" in unknown.json()["error"]


def test_sagemaker_json_and_csv(place):
    assert requests.get(f"http://{place}/ping", timeout=2).status_code == 200
    answer = post(place, "/invocations", {"instances": RECORDS}, Accept="application/json")
    assert answer.json()["predictions"] == TOTAL.tolist()
    rows = "amount,grade,city\n" + "".join(f"{row['amount']},{row['grade']},{row['city']}\n" for row in RECORDS)
    csv = requests.post(f"http://{place}/invocations", rows, headers={"content-type": "text/csv"}, timeout=30)
    assert csv.status_code == 200
    assert csv.json()["predictions"] == TOTAL.tolist()


def test_a_body_of_v2_tensors_is_known_at_invocations(place):
    tensors = [
        {"name": "amount", "shape": [3], "datatype": "FP64", "data": AMOUNT.tolist()},
        {"name": "grade", "shape": [3], "datatype": "INT64", "data": GRADE.tolist()},
        {"name": "city", "shape": [3], "datatype": "BYTES", "data": ["north", "south", "elsewhere"]},
    ]
    answer = post(place, "/invocations", {"inputs": tensors})
    assert answer.json()["outputs"][0]["data"] == TOTAL.tolist()


def test_ids_and_versions_are_told(place):
    answer = post(place, "/invocations", {"instances": RECORDS}, **{"x-espalier-prediction-id": "order-17"})
    assert answer.headers["x-espalier-prediction-id"] == "order-17"
    assert answer.headers["x-espalier-model-version"] == "7"


def test_integers_are_exact_in_json():
    """Where a client that reads JSON as doubles would not see the difference, the text of the answer shows it."""
    numbers = [2**63 - 1, -(2**63), 2**53 + 1]
    instances = [{"number": number, "text": "", "flag": True, "real": 0.5} for number in numbers]
    answer = post(SUITE["repository"], "/v1/models/echo:predict", {"instances": instances})
    assert answer.status_code == 200
    assert [row["number_out"] for row in json.loads(answer.text)["predictions"]] == numbers


def test_a_scikit_learn_model_predicts_as_scikit_learn_does():
    """The model was trained and exported in Python and saved by MLflow; both sides are 32-bit floats."""
    from sklearn.datasets import load_iris

    rows = load_iris().data.tolist()
    tensor = {"name": "input", "shape": [len(rows), 4], "datatype": "FP32", "data": rows}
    answer = post(SUITE["repository"], "/v2/models/iris/infer", {"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    expected = SUITE["iris_expected"]
    assert outputs["probabilities"] == pytest.approx([value for row in expected for value in row], abs=1e-5)


def test_too_large_a_body(place):
    answer = requests.post(f"http://{place}/invocations", io.BytesIO(b" " * (20 * 2**20)), timeout=60)
    assert answer.status_code == 413
