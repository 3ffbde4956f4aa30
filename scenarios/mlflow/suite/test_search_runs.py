"""Twelve runs, and what each filter and each order must answer. Values are chosen so that each condition tells some runs apart."""

import math
import uuid

import mlflow
import pandas
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from support import IS_STOCK, raises_mlflow


@pytest.fixture(scope="module")
def twelve():
    """Names run-00 ... run-11, started a second apart. Experiment id and run id by name."""
    client = MlflowClient()
    experiment_id = client.create_experiment(f"search-{uuid.uuid4().hex[:10]}")
    ids = {}
    for index in range(12):
        name = f"run-{index:02d}"
        run_id = client.create_run(experiment_id, run_name=name, start_time=1_700_000_000_000 + index * 1000).info.run_id
        ids[name] = run_id
        metrics = [Metric("loss", index / 10, 1000, 1), Metric("val loss/top-1", -index, 1000, 1)]
        if index % 3 == 0:
            metrics.append(Metric("some", math.nan if index == 3 else index, 1000, 1))
        client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param("depth", str(index % 4)), Param("Model", "Tree" if index % 2 else "linear")],
            tags=[RunTag("team", "Red" if index < 6 else "blue"), *([RunTag("odd", "yes")] if index % 2 else [])],
        )
        if index < 4:
            dataset = Dataset(f"data-{index % 2}", f"digest{index}", "local", "{}")
            context = InputTag("mlflow.data.context", "train" if index < 2 else "Test")
            client.log_inputs(run_id, [DatasetInput(dataset, [context])])
        if index < 10:
            status = ("FINISHED", "FAILED", "KILLED")[index % 3]
            client.set_terminated(run_id, status, end_time=1_700_000_100_000 + index * 1000)
    return experiment_id, ids


def numbers(runs):
    return [int(run.info.run_name[4:]) for run in runs]


ALL = set(range(12))
FILTERS = [
    ("", ALL),
    ("metrics.loss > 0.8", {9, 10, 11}),
    ("metrics.loss >= 0.8", {8, 9, 10, 11}),
    ("metrics.loss < 0.2", {0, 1}),
    ("metrics.loss <= 0.2", {0, 1, 2}),
    ("metrics.loss = 0.5", {5}),
    ("metrics.loss != 0.5", ALL - {5}),
    ("metric.loss > 0.3 and metrics.loss < 0.6", {4, 5}),
    ("metrics.loss > 0.5 AND metrics.loss > 0.9", {10, 11}),
    ('metrics."val loss/top-1" <= -10', {10, 11}),
    ("metrics.`val loss/top-1` > -1", {0}),
    ("metrics.some > 5", {6, 9}),
    ("metrics.nothing > 0", set()),
    ("params.depth = '2'", {2, 6, 10}),
    ("parameters.depth = '2'", {2, 6, 10}),
    ("param.depth != '2'", ALL - {2, 6, 10}),
    ('params.depth = "2"', {2, 6, 10}),
    ("params.Model LIKE 'T%'", {1, 3, 5, 7, 9, 11}),
    ("params.Model LIKE 't%'", set()),
    ("params.Model ILIKE 't%'", {1, 3, 5, 7, 9, 11}),
    ("params.Model LIKE '_ree'", {1, 3, 5, 7, 9, 11}),
    ("params.model = 'Tree'", set()),
    ("tags.team = 'Red'", set(range(6))),
    ("tag.team != 'Red'", set(range(6, 12))),
    ("tags.team LIKE '%e%'", ALL),
    ("tags.team ILIKE 'r%'", set(range(6))),
    ("tags.odd = 'yes'", {1, 3, 5, 7, 9, 11}),
    # A run without the tag is none that differs in it.
    ("tags.odd != 'no'", {1, 3, 5, 7, 9, 11}),
    ("tags.`mlflow.runName` = 'run-03'", {3}),
    ("status = 'FINISHED'", {0, 3, 6, 9}),
    ("attributes.status = 'RUNNING'", {10, 11}),
    ("attribute.status != 'FINISHED'", ALL - {0, 3, 6, 9}),
    ("attr.status LIKE 'F%'", {0, 1, 3, 4, 6, 7, 9}),
    ("run.status ILIKE 'killed'", {2, 5, 8}),
    ("run_name = 'run-04'", {4}),
    ("attributes.run_name LIKE 'run-1%'", {10, 11}),
    ("attributes.`run name` = 'run-04'", {4}),
    ("start_time >= 1700000010000", {10, 11}),
    ("attributes.start_time < 1700000001000", {0}),
    ("created = 1700000003000", {3}),
    ("end_time > 1700000108000", {9}),
    ("end_time != 1700000109000", set(range(9))),
    ("artifact_uri LIKE 'mlflow-artifacts:/%'", ALL),
    ("dataset.name = 'data-0'", {0, 2}),
    ("datasets.name IN ('data-0', 'data-1')", {0, 1, 2, 3}),
    ("dataset.digest = 'digest3'", {3}),
    ("dataset.digest LIKE 'digest%'", {0, 1, 2, 3}),
    ("dataset.context = 'train'", {0, 1}),
    ("dataset.context ILIKE 'test' AND dataset.name = 'data-1'", {3}),
    ("params.depth = '2' and tags.team = 'blue' AND metrics.loss > 0.6", {10}),
    ("metrics.loss > 0.1 AND status = 'FINISHED' AND params.Model = 'Tree' AND dataset.name = 'data-1'", {3}),
]


@pytest.mark.parametrize(("condition", "expected"), FILTERS, ids=[condition or "all" for condition, _ in FILTERS])
def test_filter(client, twelve, condition, expected):
    experiment_id, _ = twelve
    assert set(numbers(client.search_runs([experiment_id], condition))) == expected


def test_filter_by_run_ids(client, twelve):
    experiment_id, ids = twelve
    two = f"('{ids['run-01']}', '{ids['run-05']}')"
    assert set(numbers(client.search_runs([experiment_id], f"attributes.run_id IN {two}"))) == {1, 5}
    assert set(numbers(client.search_runs([experiment_id], f"run_id NOT IN {two}"))) == ALL - {1, 5}
    assert numbers(client.search_runs([experiment_id], f"run_id = '{ids['run-07']}'")) == [7]


REFUSED = [
    ("metrics.loss > 1 OR metrics.loss < 0", r"Invalid clause\(s\) in filter string"),
    ("NOT metrics.loss > 1", r"Invalid clause\(s\) in filter string"),
    ("(metrics.loss > 1)", r"Invalid clause\(s\) in filter string"),
    ("metrics.loss", r"Invalid clause\(s\) in filter string|Invalid filter string"),
    ("metrics.loss > '1'", "Expected numeric value type for metric"),
    ("metrics.loss LIKE 1", "Invalid comparator|not.*valid"),
    ("params.depth = 2", "Expected a quoted string value"),
    ("params.depth > '2'", "Invalid comparator|not one of"),
    ("params.depth = red", "Expected a quoted string value|[Pp]aram"),
    ("tags.team = Red", "not quoted|quoted string value"),
    ("status > 'FINISHED'", "Invalid comparator|not one of"),
    ("start_time > 'yesterday'", "numeric"),
    ("shape = 'round'", "Invalid attribute key"),
    ("attributes.shape = 'round'", "Invalid attribute key"),
    ("models.loss > 1", "Invalid entity type"),
    ("a.b.c > 1", "Invalid entity type|Invalid identifier"),
    ("dataset.size = '1'", "Invalid dataset key"),
    ("status IN ('FINISHED')", "(?s)."),
    ("metrics.loss > 1; DROP TABLE runs", "(?s)."),
    ("'loss'", "Invalid clause|Invalid filter"),
]


@pytest.mark.parametrize(("condition", "pattern"), REFUSED, ids=[condition for condition, _ in REFUSED])
def test_refused_filter(client, twelve, condition, pattern):
    experiment_id, _ = twelve
    with raises_mlflow("INVALID_PARAMETER_VALUE", pattern):
        client.search_runs([experiment_id], condition)


ORDERS = [
    # The newest first, when nothing is said.
    ([], list(range(11, -1, -1))),
    (["metrics.loss"], list(range(12))),
    (["metrics.loss ASC"], list(range(12))),
    (["metrics.loss desc"], list(range(11, -1, -1))),
    (["metric.`val loss/top-1`"], list(range(11, -1, -1))),
    (['metrics."val loss/top-1" DESC'], list(range(12))),
    # Values, then not-a-number, then none at all; ties by start time, newest first.
    (["metrics.some"], [0, 6, 9, 3, 11, 10, 8, 7, 5, 4, 2, 1]),
    (["metrics.some DESC"], [9, 6, 0, 3, 11, 10, 8, 7, 5, 4, 2, 1]),
    (["params.depth"], [8, 4, 0, 9, 5, 1, 10, 6, 2, 11, 7, 3]),
    (["params.Model"], [11, 9, 7, 5, 3, 1, 10, 8, 6, 4, 2, 0]),
    (["params.Model DESC", "metrics.loss"], [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]),
    (["tags.odd", "start_time"], [1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10]),
    (["tags.odd DESC", "start_time ASC"], [1, 3, 5, 7, 9, 11, 0, 2, 4, 6, 8, 10]),
    (["tags.team", "metrics.loss"], list(range(12))),
    (["tags.team DESC", "metrics.loss DESC"], [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    (["attributes.start_time"], list(range(12))),
    (["start_time DESC"], list(range(11, -1, -1))),
    (["attributes.end_time"], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 10]),
    (["run_name DESC"], list(range(11, -1, -1))),
    (["attribute.status", "start_time"], [1, 4, 7, 0, 3, 6, 9, 2, 5, 8, 10, 11]),
    (["metrics.nothing"], list(range(11, -1, -1))),
]


@pytest.mark.parametrize(("order", "expected"), ORDERS, ids=[", ".join(order) or "none" for order, _ in ORDERS])
def test_order(client, twelve, order, expected):
    experiment_id, _ = twelve
    assert numbers(client.search_runs([experiment_id], order_by=order)) == expected


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("order", [["metrics.some DESC"], ["params.depth"], ["tags.odd", "metrics.loss DESC"], []])
def test_pages_are_the_whole_cut_in_pieces(client, twelve, order, size):
    experiment_id, _ = twelve
    whole = numbers(client.search_runs([experiment_id], order_by=order))
    seen, token = [], None
    for _ in range(20):
        page = client.search_runs([experiment_id], order_by=order, max_results=size, page_token=token)
        assert len(page) <= size
        seen += numbers(page)
        token = page.token
        if not token:
            break
    assert seen == whole


def test_what_a_search_answers_is_the_whole_run(client, twelve):
    experiment_id, ids = twelve
    found = client.search_runs([experiment_id], "run_name = 'run-03'")[0]
    direct = client.get_run(ids["run-03"])
    assert found.info.run_id == direct.info.run_id
    assert found.data.params == direct.data.params == {"depth": "3", "Model": "Tree"}
    assert found.data.tags == direct.data.tags
    assert set(found.data.metrics) == set(direct.data.metrics) == {"loss", "val loss/top-1", "some"}
    assert math.isnan(found.data.metrics["some"])
    assert [one.dataset.name for one in found.inputs.dataset_inputs] == ["data-1"]


def test_as_a_table(twelve):
    experiment_id, _ = twelve
    table = mlflow.search_runs([experiment_id], "metrics.loss > 0.85", order_by=["metrics.loss"])
    assert isinstance(table, pandas.DataFrame)
    assert list(table["metrics.loss"]) == [0.9, 1.0, 1.1]
    assert list(table["params.depth"]) == ["1", "2", "3"]
    assert list(table["tags.team"]) == ["blue"] * 3


def test_several_experiments(client, twelve, experiment):
    other = client.create_run(experiment, run_name="run-99").info.run_id
    client.log_metric(other, "loss", 0.95)
    found = client.search_runs([twelve[0], experiment], "metrics.loss > 0.85", order_by=["metrics.loss"])
    assert numbers(found) == [9, 99, 10, 11]


def test_the_greatest_page(client, twelve):
    experiment_id, _ = twelve
    assert len(client.search_runs([experiment_id], max_results=50_000)) == 12
    with raises_mlflow("INVALID_PARAMETER_VALUE", "max_results"):
        client.search_runs([experiment_id], max_results=50_001)
    with raises_mlflow("INVALID_PARAMETER_VALUE", "[Ii]nvalid page token|page_token"):
        client.search_runs([experiment_id], page_token="not a token")


def test_an_order_that_makes_no_sense(client, twelve):
    experiment_id, _ = twelve
    for order, pattern in [
        (["metrics.loss sideways"], "order_by|Invalid"),
        (["shape"], "Invalid"),
        (["metrics.loss", "metrics.loss DESC"], "duplicate|500"),
    ]:
        # MLflow's own server takes the last one for a fault of its own, and its client asks again.
        code = "INTERNAL_ERROR" if IS_STOCK and "duplicate" in pattern else "INVALID_PARAMETER_VALUE"
        with raises_mlflow(code, pattern):
            client.search_runs([experiment_id], order_by=order)


def test_the_dead_are_asked_for(client, experiment):
    alive = client.create_run(experiment, run_name="run-01").info.run_id
    client.log_metric(alive, "loss", 1)
    dead = client.create_run(experiment, run_name="run-02").info.run_id
    client.log_metric(dead, "loss", 1)
    client.delete_run(dead)
    for view, expected in [(ViewType.ACTIVE_ONLY, {1}), (ViewType.DELETED_ONLY, {2}), (ViewType.ALL, {1, 2})]:
        assert set(numbers(client.search_runs([experiment], "metrics.loss = 1", run_view_type=view))) == expected
