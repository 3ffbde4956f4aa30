import re
import uuid

import mlflow
import pytest
from mlflow import MlflowClient


@pytest.fixture
def client():
    return MlflowClient()


@pytest.fixture
def unique(request):
    """A name that no other test and no earlier run of the suite has used."""
    stem = re.sub(r"\W+", "-", request.node.originalname or request.node.name)[:60]
    return f"{stem}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def experiment(client, unique):
    """The id of a new experiment, which is the active one."""
    experiment_id = client.create_experiment(unique)
    mlflow.set_experiment(experiment_id=experiment_id)
    return experiment_id


@pytest.fixture
def run(client, experiment):
    return client.create_run(experiment)


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    while mlflow.active_run():
        mlflow.end_run()
