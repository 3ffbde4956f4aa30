"""
What bad input gets, sent without the client, which would stop much of it itself. Both servers must answer alike; where MLflow's own
server has it wrong, `stock` says what it does.
"""

import pytest
from support import IS_STOCK, call

INVALID = (400, "INVALID_PARAMETER_VALUE")
MISSING = (404, "RESOURCE_DOES_NOT_EXIST")
EXISTS = (400, "RESOURCE_ALREADY_EXISTS")
BROKEN = (500, "INTERNAL_ERROR")
ABSENT = "f" * 32


def metric(**changes):
    return {"key": "loss", "value": 1, "timestamp": 1000, "step": 1, **changes}


def metrics(count):
    return [metric(step=step) for step in range(count)]


def pairs(count, value="1"):
    return [{"key": f"k{index}", "value": value} for index in range(count)]


# Name, path, body ({r}: a run, {e}: an experiment, {d}: a deleted run), what it gets, what its message matches.
TABLE = [
    ("metric without key", "runs/log-metric", {"run_id": "{r}", "value": 1, "timestamp": 1}, INVALID, "[Mm]issing value.*key"),
    ("metric without value", "runs/log-metric", {"run_id": "{r}", "key": "a", "timestamp": 1}, INVALID, "[Mm]issing value.*value"),
    ("metric without time", "runs/log-metric", {"run_id": "{r}", "key": "a", "value": 1}, INVALID, "[Mm]issing value.*timestamp"),
    ("metric of a word", "runs/log-metric", {"run_id": "{r}", **metric(value="high")}, INVALID, "[Ii]nvalid value"),
    ("metric at a word", "runs/log-metric", {"run_id": "{r}", **metric(timestamp="noon")}, INVALID, "[Ii]nvalid value"),
    ("metric before 1970", "runs/log-metric", {"run_id": "{r}", **metric(timestamp=-1)}, INVALID, "[Tt]imestamp must be a nonnegative"),
    ("long metric key", "runs/log-metric", {"run_id": "{r}", **metric(key="k" * 251)}, INVALID, "exceeds the maximum length of 250"),
    ("metric key with a bracket", "runs/log-metric", {"run_id": "{r}", **metric(key="a[0]")}, INVALID, "[Nn]ames may only contain"),
    ("metric key that climbs", "runs/log-metric", {"run_id": "{r}", **metric(key="a/../b")}, INVALID, "must not resolve to other names"),
    ("metric key from the root", "runs/log-metric", {"run_id": "{r}", **metric(key="/a")}, INVALID, "must not resolve to other names"),
    ("metric of nobody", "runs/log-metric", {"run_id": ABSENT, **metric()}, MISSING, f"Run with id={ABSENT} not found"),
    ("metric of no run", "runs/log-metric", metric(), INVALID, "run_id"),
    ("metric of a deleted run", "runs/log-metric", {"run_id": "{d}", **metric()}, INVALID, "must be in the 'active' state"),
    ("step beyond 64 bits", "runs/log-metric", {"run_id": "{r}", **metric(step=2**63)}, INVALID, ""),
    ("param without key", "runs/log-parameter", {"run_id": "{r}", "value": "1"}, INVALID, "[Mm]issing value.*key"),
    ("long param key", "runs/log-parameter", {"run_id": "{r}", "key": "k" * 251, "value": "1"}, INVALID, "exceeds the maximum length of 250"),
    ("param key with a bracket", "runs/log-parameter", {"run_id": "{r}", "key": "a$", "value": "1"}, INVALID, "[Nn]ames may only contain"),
    ("param of another value", "runs/log-parameter", {"run_id": "{r}", "key": "taken", "value": "2"}, INVALID, "Changing param values is not allowed"),
    ("param of a list", "runs/log-parameter", {"run_id": "{r}", "key": "a", "value": ["1"]}, INVALID, "[Ii]nvalid value"),
    ("tag without key", "runs/set-tag", {"run_id": "{r}", "value": "1"}, INVALID, "[Mm]issing value.*key"),
    ("long tag key", "runs/set-tag", {"run_id": "{r}", "key": "k" * 251, "value": "1"}, INVALID, "exceeds the maximum length of 250"),
    ("tag of a deleted run", "runs/set-tag", {"run_id": "{d}", "key": "a", "value": "1"}, INVALID, "must be in the 'active' state"),
    ("absent tag deleted", "runs/delete-tag", {"run_id": "{r}", "key": "nothing"}, MISSING, "No tag with name: nothing"),
    ("1,001 metrics", "runs/log-batch", {"run_id": "{r}", "metrics": metrics(1001)}, INVALID, "at most 1000 metrics"),
    ("101 params", "runs/log-batch", {"run_id": "{r}", "params": pairs(101)}, INVALID, "at most 100 params"),
    ("101 tags", "runs/log-batch", {"run_id": "{r}", "tags": pairs(101)}, INVALID, "at most 100 tags"),
    ("1,001 of all kinds", "runs/log-batch", {"run_id": "{r}", "metrics": metrics(950), "params": pairs(51)}, INVALID, "at most 1000"),
    ("a param twice in a batch", "runs/log-batch", {"run_id": "{r}", "params": pairs(1) * 2}, INVALID, "[Dd]uplicate"),
    ("a bad metric in a batch", "runs/log-batch", {"run_id": "{r}", "metrics": [metric(), metric(key="a[0]")]}, INVALID, "metrics\\[1\\]"),
    ("a batch that is no list", "runs/log-batch", {"run_id": "{r}", "metrics": "many"}, INVALID, "[Ii]nvalid value"),
    ("a batch of nobody", "runs/log-batch", {"run_id": ABSENT, "metrics": metrics(1)}, MISSING, "not found"),
    ("run id with a slash", "runs/log-batch", {"run_id": "../x", "metrics": metrics(1)}, INVALID, "run_id"),
    ("experiment without name", "experiments/create", {}, INVALID, "[Mm]issing value.*name"),
    ("experiment with an empty name", "experiments/create", {"name": ""}, INVALID, "name"),
    ("experiment with a long name", "experiments/create", {"name": "n" * 501}, INVALID, "exceeds the maximum length of 500"),
    ("experiment name that is a number", "experiments/create", {"name": 5}, INVALID, "[Ii]nvalid value"),
    ("experiment called default", "experiments/create", {"name": "Default"}, EXISTS, "already exists"),
    ("experiment in another place", "experiments/create", {"name": "{u}", "artifact_location": "file:///tmp/x?a#b"}, INVALID, ""),
    ("rename to a taken name", "experiments/update", {"experiment_id": "{e}", "new_name": "Default"}, EXISTS, "already exists"),
    ("rename of nothing", "experiments/update", {"experiment_id": "987654321", "new_name": "{u}"}, MISSING, "No Experiment with id=987654321"),
    ("long experiment tag", "experiments/set-experiment-tag", {"experiment_id": "{e}", "key": "k" * 251, "value": "v"}, INVALID, "exceeds the maximum length of 250"),
    ("run of no experiment", "runs/create", {"experiment_id": "987654321"}, MISSING, "No Experiment with id=987654321"),
    ("run with a status of its own", "runs/update", {"run_id": "{r}", "status": "TIRED"}, INVALID, ""),
    ("restore of nobody", "runs/restore", {"run_id": ABSENT}, MISSING, "not found"),
    ("inputs of nobody", "runs/log-inputs", {"run_id": ABSENT, "datasets": []}, MISSING, "not found"),
    ("dataset without digest", "runs/log-inputs", {"run_id": "{r}", "datasets": [{"dataset": {"name": "a", "source_type": "b", "source": "c"}}]}, INVALID, "digest"),
    ("dataset with a long name", "runs/log-inputs", {"run_id": "{r}", "datasets": [{"dataset": {"name": "n" * 501, "digest": "d", "source_type": "b", "source": "c"}}]}, INVALID, "500"),
    ("search of runs with a bad page", "runs/search", {"experiment_ids": ["{e}"], "max_results": 50001}, INVALID, "max_results"),
    ("search of runs with a size of 0", "runs/search", {"experiment_ids": ["{e}"], "max_results": -1}, INVALID, "max_results"),
    ("search of runs that is no list", "runs/search", {"experiment_ids": ["{e}"], "order_by": [5]}, INVALID, ""),
    ("model without name", "registered-models/create", {}, INVALID, "name"),
    ("model with an empty name", "registered-models/create", {"name": ""}, INVALID, "name"),
    ("model with a slash", "registered-models/create", {"name": "a/b"}, INVALID, "name"),
    ("model with a colon", "registered-models/create", {"name": "a:b"}, INVALID, "name"),
    ("model with a long tag", "registered-models/create", {"name": "{u}", "tags": [{"key": "k" * 251, "value": "v"}]}, INVALID, "250"),
    ("logged model with a slash", "logged-models", {"experiment_id": "{e}", "name": "a/b"}, INVALID, "name"),
]


@pytest.fixture(scope="module")
def things():
    import uuid

    from mlflow import MlflowClient

    client = MlflowClient()
    experiment_id = client.create_experiment(f"limits-{uuid.uuid4().hex[:10]}")
    run_id, deleted = (client.create_run(experiment_id).info.run_id for _ in range(2))
    client.log_param(run_id, "taken", "1")
    client.delete_run(deleted)
    yield {"{r}": run_id, "{e}": experiment_id, "{d}": deleted, "{u}": f"never-{uuid.uuid4().hex}"}
    # Not one of the refused requests has left anything.
    run = client.get_run(run_id)
    assert run.data.params == {"taken": "1"}
    assert run.data.metrics == {}
    assert run.inputs.dataset_inputs == []
    assert run.info.status == "RUNNING"


# What MLflow's own server does instead; None: it takes it in.
STOCK = {
    # With the database's own words.
    "rename to a taken name": (400, "BAD_REQUEST"),
    "step beyond 64 bits": None,
    "run with a status of its own": None,
    "dataset without digest": None,
}


@pytest.mark.parametrize(("name", "path", "body", "expected", "pattern"), TABLE, ids=[row[0] for row in TABLE])
def test_refused(things, name, path, body, expected, pattern):
    import re

    filled = {key: things.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
    if isinstance(filled.get("experiment_ids"), list):
        filled["experiment_ids"] = [things["{e}"]]
    if IS_STOCK and STOCK.get(name, ()) is None:
        pytest.skip("MLflow's own server takes it in")
    status, answer = call("POST", path, filled)
    if IS_STOCK and name in STOCK:
        assert (status, answer.get("error_code")) == STOCK[name], answer
        return
    assert (status, answer.get("error_code")) == expected, answer
    assert re.search(pattern, answer["message"]), answer["message"]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("runs/get", {"run_id": ABSENT}, MISSING),
        ("runs/get", {}, INVALID),
        ("experiments/get", {"experiment_id": "987654321"}, MISSING),
        ("experiments/get", {}, INVALID),
        ("experiments/get-by-name", {"experiment_name": "there is none of this name"}, MISSING),
        ("metrics/get-history", {"run_id": "{r}"}, INVALID),
        ("registered-models/get", {"name": "there is none of this name"}, MISSING),
        ("registered-models/get", {}, INVALID),
        ("model-versions/get", {"name": "there is none of this name", "version": "1"}, MISSING),
        ("logged-models/m-" + "f" * 32, None, MISSING),
    ],
    ids=str,
)
def test_refused_reads(things, path, body, expected):
    filled = {key: things.get(value, value) for key, value in body.items()} if body else None
    status, answer = call("GET", path, filled)
    assert (status, answer["error_code"]) == expected, answer


def test_no_such_route():
    status, _ = call("POST", "experiments/explode", {})
    assert status == 404


def test_another_content_type():
    status, _ = call("POST", "experiments/create", data="name=x", headers={"Content-Type": "text/plain"})
    assert 400 <= status < 500
