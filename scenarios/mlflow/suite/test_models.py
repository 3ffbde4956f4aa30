import os

import mlflow
import numpy
import pandas
import pytest
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from support import CLIENT_MAJOR, IS_STOCK, log_sklearn, model_kwargs, needs_mlflow_3, raises_mlflow

ROWS = pandas.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 3.0]})
TARGET = ROWS["a"] * 2 + ROWS["b"]


def logged_linear(unique, **options):
    model = LinearRegression().fit(ROWS, TARGET)
    with mlflow.start_run() as started:
        logged = log_sklearn(
            model,
            "model",
            signature=infer_signature(ROWS, model.predict(ROWS)),
            input_example=ROWS.head(1),
            registered_model_name=unique,
            **options,
        )
    return started.info.run_id, logged


def test_sklearn_by_every_address(client, experiment, unique):
    run_id, logged = logged_linear(unique)
    client.set_registered_model_alias(unique, "champion", "1")
    client.transition_model_version_stage(unique, "1", "Production")
    addresses = [f"models:/{unique}/1", f"models:/{unique}@champion", f"models:/{unique}/Production", f"models:/{unique}/latest"]
    addresses.append(f"models:/{logged.model_id}" if CLIENT_MAJOR >= 3 else f"runs:/{run_id}/model")
    for address in addresses:
        loaded = mlflow.pyfunc.load_model(address)
        assert numpy.allclose(loaded.predict(ROWS), TARGET), address
    assert loaded.metadata.run_id == run_id
    assert [column.name for column in loaded.metadata.signature.inputs.inputs] == ["a", "b"]
    assert isinstance(mlflow.sklearn.load_model(f"models:/{unique}/1"), LinearRegression)
    info = mlflow.models.get_model_info(f"models:/{unique}@champion")
    assert set(info.flavors) == {"python_function", "sklearn"}
    assert info.run_id == run_id


def test_what_the_registry_knows_of_it(client, experiment, unique):
    run_id, logged = logged_linear(unique)
    version = client.get_model_version(unique, "1")
    assert (version.version, version.run_id, version.status, version.current_stage) == ("1", run_id, "READY", "None")
    uri = client.get_model_version_download_uri(unique, "1")
    assert uri.startswith("mlflow-artifacts:/")
    files = os.listdir(mlflow.artifacts.download_artifacts(uri))
    assert {"MLmodel", "requirements.txt", "python_env.yaml", "conda.yaml", "input_example.json"} <= set(files)
    second = mlflow.register_model(logged.model_uri, unique)
    assert str(second.version) == "2"


class Adder(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["amount"]) as file:
            self.amount = float(file.read())

    def predict(self, context, model_input, params=None):
        return model_input["a"] + self.amount * (params or {"times": 1})["times"]


def test_a_python_model_with_a_file_and_params(experiment, unique, tmp_path):
    (tmp_path / "amount.txt").write_text("10")
    signature = infer_signature(ROWS[["a"]], ROWS["a"], params={"times": 1})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            python_model=Adder(),
            artifacts={"amount": str(tmp_path / "amount.txt")},
            signature=signature,
            pip_requirements=[],
            registered_model_name=unique,
            **model_kwargs("adder"),
        )
    loaded = mlflow.pyfunc.load_model(f"models:/{unique}/1")
    assert list(loaded.predict(ROWS[["a"]])) == [10, 11, 12]
    assert list(loaded.predict(ROWS[["a"]], params={"times": 3})) == [30, 31, 32]
    with raises_mlflow("INVALID_PARAMETER_VALUE|BAD_REQUEST", ""):
        loaded.predict(pandas.DataFrame({"z": [1.0]}))


def test_onnx(experiment, unique):
    from skl2onnx import to_onnx

    data, target = load_iris(return_X_y=True)
    data = data.astype(numpy.float32)
    model = LogisticRegression(max_iter=500).fit(data, target)
    graph = to_onnx(model, data[:1], options={"zipmap": False})
    with mlflow.start_run():
        mlflow.onnx.log_model(
            graph,
            signature=infer_signature(data, target),
            pip_requirements=["onnxruntime"],
            registered_model_name=unique,
            **model_kwargs("onnx-model"),
        )
    loaded = mlflow.pyfunc.load_model(f"models:/{unique}/1")
    answer = loaded.predict(data)
    assert (answer["label"] == model.predict(data)).all()
    assert mlflow.onnx.load_model(f"models:/{unique}/1").graph.input[0].name == graph.graph.input[0].name


def test_autolog(client, experiment):
    data, target = load_iris(return_X_y=True)
    mlflow.sklearn.autolog(log_input_examples=True, silent=True)
    try:
        LogisticRegression(max_iter=321).fit(data, target)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = mlflow.last_active_run()
    assert run.info.status == "FINISHED"
    assert run.data.params["max_iter"] == "321"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert [one.dataset.name for one in run.inputs.dataset_inputs] != []
    assert "training_confusion_matrix.png" in [one.path for one in client.list_artifacts(run.info.run_id)]
    if CLIENT_MAJOR >= 3:
        model_id = run.outputs.model_outputs[0].model_id
        address = f"models:/{model_id}"
        assert client.get_logged_model(model_id).metrics
    else:
        address = f"runs:/{run.info.run_id}/model"
    assert mlflow.pyfunc.load_model(address).predict(data).shape == (150,)


@needs_mlflow_3
def test_a_logged_model_and_what_is_known_of_it(client, experiment):
    model = LinearRegression().fit(ROWS, TARGET)
    dataset = mlflow.data.from_pandas(ROWS, name="rows")
    with mlflow.start_run() as started:
        info = log_sklearn(model, "linear", params={"l2": 0.5}, tags={"team": "red"})
        mlflow.log_metric("mse", 0.25, model_id=info.model_id, dataset=dataset)
        mlflow.log_metric("mse", 0.125, step=1, model_id=info.model_id, dataset=dataset)
    found = client.get_logged_model(info.model_id)
    assert (found.name, found.status, found.source_run_id) == ("linear", "READY", started.info.run_id)
    assert found.params == {"l2": "0.5"}
    assert found.tags["team"] == "red"
    assert [(metric.key, metric.value, metric.dataset_name) for metric in found.metrics] == [
        ("mse", 0.25, "rows"),
        ("mse", 0.125, "rows"),
    ]
    client.set_logged_model_tags(info.model_id, {"team": "blue", "more": "x"})
    client.delete_logged_model_tag(info.model_id, "more")
    tags = client.get_logged_model(info.model_id).tags
    assert tags["team"] == "blue"
    assert "more" not in tags
    assert [one.model_id for one in client.get_run(started.info.run_id).outputs.model_outputs] == [info.model_id]
    client.delete_logged_model(info.model_id)
    assert client.search_logged_models([experiment]) == []


@needs_mlflow_3
def test_logged_models_are_searched(client, experiment):
    ids = {}
    for index in range(4):
        created = mlflow.initialize_logged_model(name=f"model-{index}", tags={"odd": str(index % 2)}, params={"n": str(index)})
        mlflow.finalize_logged_model(created.model_id, "READY")
        with mlflow.start_run():
            mlflow.log_metric("score", index / 10, model_id=created.model_id)
        ids[created.model_id] = index
    order = [{"field_name": "metrics.score", "ascending": False}]

    def search(condition=None, **options):
        options.setdefault("order_by", order)
        return [ids[one.model_id] for one in client.search_logged_models([experiment], filter_string=condition, **options)]

    assert search() == [3, 2, 1, 0]
    assert search("tags.odd = '1'") == [3, 1]
    assert search("params.n != '2'") == [3, 1, 0]
    assert search("metrics.score > 0.05 AND metrics.score < 0.25") == [2, 1]
    assert search("name LIKE 'model-%' AND name != 'model-3'") == [2, 1, 0]
    assert search("creation_timestamp > 0", order_by=[{"field_name": "creation_time", "ascending": True}]) == [0, 1, 2, 3]
    first = client.search_logged_models([experiment], max_results=3, order_by=order)
    rest = client.search_logged_models([experiment], max_results=3, order_by=order, page_token=first.token)
    assert [ids[one.model_id] for one in [*first, *rest]] == [3, 2, 1, 0]
    # MLflow's own server takes this one for a fault of its own.
    with raises_mlflow("INTERNAL_ERROR" if IS_STOCK else "INVALID_PARAMETER_VALUE"):
        search("metrics.score > 'a'")


@needs_mlflow_3
def test_an_external_model_and_its_failure(client, experiment):
    with mlflow.start_run():
        external = mlflow.create_external_model(name="elsewhere", params={"url": "x"})
        failed = mlflow.initialize_logged_model(name="broken")
        mlflow.finalize_logged_model(failed.model_id, "FAILED")
    assert client.get_logged_model(external.model_id).params == {"url": "x"}
    assert client.get_logged_model(failed.model_id).status == "FAILED"
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST|NOT_FOUND", "not found"):
        client.get_logged_model("m-" + "0" * 32)


@pytest.mark.parametrize("address", ["models:/{}/1", "models:/{}@champion", "models:/{}/latest", "models:/{}/Production"])
def test_a_model_that_is_not_there(unique, address):
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST|NOT_FOUND|INVALID_PARAMETER_VALUE", "not found|No versions"):
        mlflow.pyfunc.load_model(address.format(unique))
