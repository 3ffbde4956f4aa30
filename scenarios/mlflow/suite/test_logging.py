import math

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from support import call, raises_mlflow


def test_params_of_every_kind_come_back_as_text(client, experiment):
    with mlflow.start_run() as started:
        mlflow.log_param("rate", 0.1)
        mlflow.log_params({"depth": 6, "flag": True, "nothing": None, "unicode": "é✓ 𝔘", "empty": "", "a/b.c d-e": "x"})
    assert client.get_run(started.info.run_id).data.params == {
        "rate": "0.1",
        "depth": "6",
        "flag": "True",
        "nothing": "None",
        "unicode": "é✓ 𝔘",
        "empty": "",
        "a/b.c d-e": "x",
    }


def test_a_param_keeps_its_value(client, run):
    run_id = run.info.run_id
    client.log_param(run_id, "rate", "0.1")
    client.log_param(run_id, "rate", "0.1")
    with raises_mlflow("INVALID_PARAMETER_VALUE", "Changing param values is not allowed"):
        client.log_param(run_id, "rate", "0.2")
    with raises_mlflow("INVALID_PARAMETER_VALUE", "Changing param values is not allowed"):
        client.log_batch(run_id, params=[Param("new", "1"), Param("rate", "0.2")])
    # All or nothing.
    assert client.get_run(run_id).data.params == {"rate": "0.1"}


def test_the_value_of_the_last_step_counts(client, run):
    run_id = run.info.run_id
    for value, timestamp, step in [(3, 1000, 5), (1, 3000, 1), (2, 2000, 5), (9, 9000, 4)]:
        client.log_metric(run_id, "loss", value, timestamp=timestamp, step=step)
    assert client.get_run(run_id).data.metrics == {"loss": 2}
    history = client.get_metric_history(run_id, "loss")
    assert sorted((point.timestamp, point.step, point.value) for point in history) == [
        (1000, 5, 3),
        (2000, 5, 2),
        (3000, 1, 1),
        (9000, 4, 9),
    ]


def test_the_same_point_again_is_no_second_point(client, run):
    for _ in range(3):
        client.log_metric(run.info.run_id, "loss", 0.5, timestamp=1000, step=1)
    client.log_batch(run.info.run_id, metrics=[Metric("loss", 0.5, 1000, 1)] * 2)
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, 0.1),
        (-0.0, 0.0),
        (1e308, 1e308),
        (5e-324, 5e-324),
        (math.inf, 1.7976931348623157e308),
        (-math.inf, -1.7976931348623157e308),
        (2**53 + 1, float(2**53 + 1)),
        (True, 1.0),
    ],
)
def test_values(client, run, value, expected):
    client.log_metric(run.info.run_id, "value", value)
    assert client.get_run(run.info.run_id).data.metrics["value"] == expected
    assert [point.value for point in client.get_metric_history(run.info.run_id, "value")] == [expected]


def test_not_a_number(client, run):
    client.log_metric(run.info.run_id, "value", math.nan)
    assert math.isnan(client.get_run(run.info.run_id).data.metrics["value"])
    assert math.isnan(client.get_metric_history(run.info.run_id, "value")[0].value)


def test_steps_and_times_at_the_limits(client, run):
    run_id = run.info.run_id
    for step in (-5, 0, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)):
        client.log_metric(run_id, "value", 1, timestamp=2**53 + 1, step=step)
    history = client.get_metric_history(run_id, "value")
    assert sorted(point.step for point in history) == [-(2**63), -5, 0, 2**31, 2**53 + 1, 2**63 - 1]
    assert {point.timestamp for point in history} == {2**53 + 1}


def test_log_metrics_of_the_active_run(client, experiment):
    with mlflow.start_run() as started:
        for step in range(3):
            mlflow.log_metrics({"loss": 1 / (step + 1), "accuracy/train": step}, step=step)
        mlflow.log_metric("later", 1, synchronous=False).wait()
    data = client.get_run(started.info.run_id).data
    assert data.metrics == {"loss": 1 / 3, "accuracy/train": 2, "later": 1}


def test_a_batch_of_everything(client, run):
    run_id = run.info.run_id
    metrics = [Metric(f"m{index % 10}", index, 1000 + index, index // 10) for index in range(800)]
    client.log_batch(
        run_id,
        metrics=metrics,
        params=[Param(f"p{index}", str(index)) for index in range(100)],
        tags=[RunTag(f"t{index}", str(index)) for index in range(100)],
    )
    data = client.get_run(run_id).data
    assert data.metrics == {f"m{index}": 790 + index for index in range(10)}
    assert data.params == {f"p{index}": str(index) for index in range(100)}
    assert data.tags.items() >= {f"t{index}": str(index) for index in range(100)}.items()
    history = client.get_metric_history(run_id, "m3")
    assert [point.value for point in sorted(history, key=lambda point: point.step)] == list(range(3, 800, 10))


def test_a_long_history_comes_whole(client, run):
    for start in range(0, 6000, 1000):
        client.log_batch(
            run.info.run_id, metrics=[Metric("loss", step, 1000 + step, step) for step in range(start, start + 1000)]
        )
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted(point.step for point in history) == list(range(6000))


def test_a_history_in_pages(client, run):
    client.log_batch(run.info.run_id, metrics=[Metric("loss", step, 1000 + step, step) for step in range(250)])
    seen, token = [], None
    for _ in range(10):
        query = {"run_id": run.info.run_id, "metric_key": "loss", "max_results": 100}
        status, page = call("GET", "metrics/get-history", {**query, **({"page_token": token} if token else {})})
        assert status == 200
        seen += [point["step"] for point in page.get("metrics", [])]
        token = page.get("next_page_token")
        if not token:
            break
    assert seen == list(range(250))


def test_the_history_of_an_unknown_metric_is_empty(client, run):
    assert client.get_metric_history(run.info.run_id, "nothing") == []


def test_tags_are_overwritten_and_deleted(client, run):
    run_id = run.info.run_id
    client.set_tag(run_id, "stage", "draft")
    client.set_tag(run_id, "stage", "final é✓")
    assert client.get_run(run_id).data.tags["stage"] == "final é✓"
    client.delete_tag(run_id, "stage")
    assert "stage" not in client.get_run(run_id).data.tags
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "No tag with name: stage"):
        client.delete_tag(run_id, "stage")


def test_long_values_are_cut(client, run):
    run_id = run.info.run_id
    client.log_param(run_id, "long", "p" * 6001)
    client.set_tag(run_id, "long", "t" * 8001)
    data = client.get_run(run_id).data
    assert (len(data.params["long"]), len(data.tags["long"])) == (6000, 8000)


def test_a_batch_of_the_fluent_api_is_split(client, experiment):
    with mlflow.start_run() as started:
        mlflow.log_params({f"p{index}": index for index in range(250)})
        mlflow.set_tags({f"t{index}": index for index in range(100)})
    data = client.get_run(started.info.run_id).data
    assert len(data.params) == 250
    assert data.tags["t99"] == "99"
