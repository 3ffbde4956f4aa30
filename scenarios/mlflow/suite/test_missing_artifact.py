"""
`load_model("runs:/<id>/model")` may look at the run's own folder first, where MLflow 3 keeps no model. A server that answers 500 for a
missing file, as MLflow's own did before 3.17, makes its client try again for minutes.
"""

import time

import mlflow
import numpy
import pytest
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression
from support import CLIENT_MAJOR, log_sklearn


@pytest.fixture
def usual_retries(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)


def test_a_missing_file_is_answered_at_once(client, run, usual_retries):
    started = time.monotonic()
    with pytest.raises((MlflowException, OSError)):
        mlflow.artifacts.load_text(f"{run.info.artifact_uri}/nowhere.txt")
    # No measure: a single retry would take longer.
    assert time.monotonic() - started < 30


def test_a_model_of_a_run_is_loaded_with_the_usual_retries(experiment, usual_retries):
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    with mlflow.start_run() as started:
        log_sklearn(model, "model")
    loaded = mlflow.pyfunc.load_model(f"runs:/{started.info.run_id}/model")
    assert numpy.allclose(loaded.predict([[3.0]]), [6.0])
    if CLIENT_MAJOR >= 3:
        assert loaded.model_id
    with pytest.raises((MlflowException, OSError)):
        mlflow.pyfunc.load_model(f"runs:/{started.info.run_id}/other")
