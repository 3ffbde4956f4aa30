import mlflow
import pytest
from support import SUITE, call, espalier_only, raises_mlflow

pytestmark = espalier_only("it knows no tokens unless it is started with its basic-auth app")


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def test_a_bearer_token(monkeypatch, unique):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SUITE["token"])
    assert mlflow.set_experiment(unique).name == unique


def test_a_password(monkeypatch, unique):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SUITE["token"])
    assert mlflow.set_experiment(unique).name == unique


@pytest.mark.parametrize("name", ["TOKEN", "PASSWORD"])
def test_one_that_is_wrong(monkeypatch, client, name):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "wrong")
    if name == "TOKEN":
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    with raises_mlflow("UNAUTHENTICATED|INTERNAL_ERROR", "401|credentials"):
        client.search_experiments()


def test_a_viewer_may_only_read(monkeypatch, client, unique):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SUITE["viewer_token"])
    assert client.search_experiments(max_results=1)
    with raises_mlflow("PERMISSION_DENIED", ""):
        client.create_experiment(unique)


def test_without_a_token_only_this_face_of_this_machine(client):
    assert client.get_experiment("0").name == "Default"
    status, _ = call("GET", f"{SUITE['url']}/api/v1/runs")
    assert status == 401
    status, _ = call("GET", "experiments/get", {"experiment_id": "0"}, headers={"X-Forwarded-For": "203.0.113.9"})
    assert status == 401


@pytest.mark.parametrize("host", ["evil.example", "10.evil.example", "127.0.0.1.evil.example"])
def test_a_foreign_host(host):
    status, _ = call("GET", "experiments/get", {"experiment_id": "0"}, headers={"Host": host})
    assert status == 403


def test_a_foreign_origin(unique):
    for prefix in ("api", "ajax-api"):
        address = f"{SUITE['url']}/{prefix}/2.0/mlflow/experiments/create"
        status, _ = call("POST", address, {"name": unique}, headers={"Origin": "https://evil.example"})
        assert status == 403
