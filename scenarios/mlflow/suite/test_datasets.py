import mlflow
import numpy
import pandas


def test_a_table_is_an_input(client, experiment):
    table = pandas.DataFrame({"hour": [1, 2, 3], "late": [0.0, 1.0, 0.5]})
    dataset = mlflow.data.from_pandas(table, source="https://example.com/flights.csv", name="flights", targets="late")
    with mlflow.start_run() as started:
        mlflow.log_input(dataset, context="training", tags={"kind": "small"})
        mlflow.log_input(mlflow.data.from_numpy(numpy.arange(4), name="numbers"))
        # The same again is one input.
        mlflow.log_input(dataset, context="training", tags={"kind": "small"})
    inputs = {one.dataset.name: one for one in client.get_run(started.info.run_id).inputs.dataset_inputs}
    assert set(inputs) == {"flights", "numbers"}
    flights = inputs["flights"]
    assert {tag.key: tag.value for tag in flights.tags} == {"mlflow.data.context": "training", "kind": "small"}
    assert flights.dataset.digest == dataset.digest
    assert '"hour"' in flights.dataset.schema
    assert '"num_rows": 3' in flights.dataset.profile
    assert mlflow.data.get_source(flights.dataset).url == "https://example.com/flights.csv"


def test_runs_are_found_by_their_input(client, experiment):
    dataset = mlflow.data.from_pandas(pandas.DataFrame({"a": [1]}), name="only-here")
    with mlflow.start_run() as started:
        mlflow.log_input(dataset, context="evaluation")
    with mlflow.start_run():
        mlflow.log_metric("a", 1)
    for condition in ("dataset.name = 'only-here'", f"dataset.digest = '{dataset.digest}'", "dataset.context LIKE 'eval%'"):
        assert [run.info.run_id for run in client.search_runs([experiment], condition)] == [started.info.run_id]
