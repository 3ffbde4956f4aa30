"""Real training that logs to the store at argv[1]: nested runs, long histories, odd values, a data set, models, a registry."""

import math
import sys

import mlflow
import pandas
from mlflow import MlflowClient
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

uri, model_name = sys.argv[1], sys.argv[2]
mlflow.set_tracking_uri(uri)
client = MlflowClient()
rows, labels = make_classification(n_samples=100, n_features=4, random_state=1)
experiment = mlflow.set_experiment("flights")
client.set_experiment_tag(experiment.experiment_id, "team", "delays")
place = "model" if mlflow.__version__.startswith("2.") else None

with mlflow.start_run(run_name="grid"):
    mlflow.log_input(mlflow.data.from_pandas(pandas.DataFrame(rows, columns=list("abcd")), name="train"), context="training")
    for strength in (0.1, 1.0):
        with mlflow.start_run(run_name=f"c={strength}", nested=True) as run:
            mlflow.log_params({"c": strength, "note": "two\nlines é"})
            for step in range(50):
                mlflow.log_metric("loss", math.exp(-step * strength), step=step)
            client.log_metric(run.info.run_id, "deep/key", 1.5, step=2**60 + 1, timestamp=1700000000000)
            mlflow.log_metric("undefined", float("nan"), step=1)
            model = LogisticRegression(C=strength).fit(rows, labels)
            names = {"artifact_path": "model"} if place else {"name": "model"}
            mlflow.sklearn.log_model(model, registered_model_name=model_name, input_example=rows[:2], **names)
            mlflow.log_text("hello", "notes/a b.txt")

client.set_registered_model_alias(model_name, "champion", 2)
client.set_registered_model_tag(model_name, "owner", "ml")
client.set_model_version_tag(model_name, "1", "checked", "yes")
client.update_model_version(model_name, "1", "first try")
gone = client.create_experiment("gone")
client.log_metric(client.create_run(gone).info.run_id, "m", 1)
client.delete_experiment(gone)
deleted = client.create_run(experiment.experiment_id, run_name="deleted")
client.log_param(deleted.info.run_id, "p", 1)
client.delete_run(deleted.info.run_id)
