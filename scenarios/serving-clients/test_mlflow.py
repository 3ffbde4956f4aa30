"""MLflow's own client of a scoring server, and the bodies that its documentation shows."""

import json

import numpy
import pandas
import pytest
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from support import AMOUNT, GRADE, TOTAL

CITIES = ["north", "south", "elsewhere"]
FRAME = pandas.DataFrame({"amount": AMOUNT, "grade": GRADE, "city": CITIES})


@pytest.fixture
def scoring(place):
    host, port = place.split(":")
    return ScoringServerClient(host, int(port))


def test_scoring_server_client(scoring):
    scoring.wait_server_ready(timeout=30)
    predictions = scoring.invoke(FRAME).get_predictions()
    assert numpy.ravel(predictions).tolist() == TOTAL.tolist()


def test_columns_in_any_order(scoring):
    predictions = scoring.invoke(FRAME[["city", "amount", "grade"]]).get_predictions()
    assert numpy.ravel(predictions).tolist() == TOTAL.tolist()


def test_large_frame(scoring):
    frame = pandas.concat([FRAME] * 10_000, ignore_index=True)
    predictions = scoring.invoke(frame).get_predictions()
    assert numpy.ravel(predictions).tolist() == TOTAL.tolist() * 10_000


def test_a_frame_that_does_not_fit_is_refused(scoring):
    for frame, word in [(FRAME.drop(columns="city"), "city"), (FRAME.assign(weight=1.0), "weight")]:
        with pytest.raises(Exception, match=f"error code 400.*{word}"):
            scoring.invoke(frame)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list(FRAME.columns), "data": FRAME.values.tolist()}},
        {"dataframe_records": FRAME.to_dict(orient="records")},
        {"instances": FRAME.to_dict(orient="records")},
        {"inputs": FRAME.to_dict(orient="list")},
    ],
    ids=lambda body: next(iter(body)),
)
def test_documented_bodies(place, body):
    answer = requests.post(f"http://{place}/invocations", json=body, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == TOTAL.tolist()


def test_csv(place):
    headers = {"content-type": "text/csv; charset=utf-8"}
    answer = requests.post(f"http://{place}/invocations", FRAME.to_csv(index=False), headers=headers, timeout=30)
    assert answer.json()["predictions"] == TOTAL.tolist()


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", "{", 400),
        ("application/json", "{}", 400),
        ("application/json", json.dumps({"instances": [], "inputs": []}), 400),
        ("application/json", json.dumps({"instances": [{"amount": 1, "grade": "x", "city": "north"}]}), 400),
        ("application/json; charset=latin-1", json.dumps({"instances": []}), 415),
        ("application/xml", "<rows/>", 415),
    ],
)
def test_errors_are_in_mlflows_form(place, content_type, body, status):
    answer = requests.post(f"http://{place}/invocations", body, headers={"content-type": content_type}, timeout=30)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error_code"] == "BAD_REQUEST"
        assert answer.json()["message"]


def test_version_and_health(place):
    for path in ["/ping", "/health", "/version"]:
        assert requests.get(f"http://{place}{path}", timeout=30).status_code == 200
