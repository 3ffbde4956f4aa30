"""A pipeline of the project, whose step says `import mlflow` and nothing of Espalier, seen and used by MLflow's client."""

import json
import subprocess

import mlflow
import numpy
import pandas
import pytest
from support import SUITE, espalier_only

pytestmark = espalier_only("it runs no pipelines")


@pytest.fixture(scope="module")
def pipeline_run():
    done = subprocess.run(
        [*SUITE["cli"], "run", "train", "--json", "--project", SUITE["project"]], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)["run"]


def test_its_step_has_a_run_of_the_pipelines_experiment(client, pipeline_run):
    experiment = client.get_experiment_by_name("train")
    found = client.search_runs([experiment.experiment_id], "metrics.mse < 1 AND params.slope = '2'")
    assert len(found) == 1
    run = found[0]
    assert run.info.status == "FINISHED"
    assert client.get_parent_run(run.info.run_id).info.experiment_id == experiment.experiment_id
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(10))
    assert run.data.tags["from"] == "the step"
    children = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert [child.data.metrics for child in children] == [{"fold": 1.0}]
    assert client.get_experiment_by_name("an experiment of the script's own") is None


def test_its_model_is_loaded_by_alias(client, pipeline_run):
    loaded = mlflow.pyfunc.load_model("models:/suite-line@champion")
    answer = loaded.predict(pandas.DataFrame({"x": [1.0, 2.0]}))
    values = numpy.asarray(next(iter(answer.values())) if isinstance(answer, dict) else answer).ravel()
    assert numpy.allclose(values, [2.0, 4.0], atol=1e-4)
    assert client.get_model_version_by_alias("suite-line", "champion").version == "1"
