import hashlib
import os
import re

import mlflow
import numpy
import pandas
import pytest
import yaml
from mlflow.exceptions import MlflowException
from support import IS_STOCK, call


def paths(client, run_id, folder=None):
    """Every file below, with its size."""
    found = {}
    for one in client.list_artifacts(run_id, folder):
        if one.is_dir:
            found.update(paths(client, run_id, one.path))
        else:
            # MLflow leaves out a size of 0.
            found[one.path] = one.file_size or 0
    return found


def test_text_dict_image_table(client, experiment):
    picture = numpy.zeros((8, 8, 3), dtype=numpy.uint8)
    with mlflow.start_run() as started:
        mlflow.log_text("héllo\n", "notes/readme.txt")
        mlflow.log_dict({"a": [1, 2], "b": {"c": "é"}}, "config.json")
        mlflow.log_dict({"a": 1}, "config.yaml")
        mlflow.log_image(picture, "picture.png")
        mlflow.log_table({"question": ["a", "b"], "score": [1, 2]}, "table.json")
        mlflow.log_table({"question": ["c"], "score": [3]}, "table.json")
    run_id = started.info.run_id
    assert set(paths(client, run_id)) == {"notes/readme.txt", "config.json", "config.yaml", "picture.png", "table.json"}
    uri = started.info.artifact_uri
    assert mlflow.artifacts.load_text(f"{uri}/notes/readme.txt") == "héllo\n"
    assert mlflow.artifacts.load_dict(f"{uri}/config.json") == {"a": [1, 2], "b": {"c": "é"}}
    assert yaml.safe_load(mlflow.artifacts.load_text(f"{uri}/config.yaml")) == {"a": 1}
    assert mlflow.artifacts.load_image(f"{uri}/picture.png").size == (8, 8)
    table = mlflow.load_table("table.json", run_ids=[run_id])
    assert list(table["score"]) == [1, 2, 3]
    assert "table.json" in client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]


def test_images_of_steps_have_signs_in_their_names(client, experiment):
    picture = numpy.full((4, 4, 3), 255, dtype=numpy.uint8)
    with mlflow.start_run() as started:
        for step in range(2):
            mlflow.log_image(picture, key="dogs", step=step)
    names = paths(client, started.info.run_id)
    pngs = [name for name in names if name.endswith(".png")]
    assert len(pngs) == 2
    assert all(re.match("images/dogs[+%]step[+%]", name) for name in pngs), names
    local = client.download_artifacts(started.info.run_id, pngs[0])
    assert os.path.getsize(local) == names[pngs[0]]


@pytest.mark.parametrize(
    "name", ["ünïcode é✓.txt", "with space.txt", "100%25 sure.txt", "100% sure.txt", "plus+and&amp;.txt", "a=b,c@d(e).txt"]
)
def test_a_name_that_must_be_quoted(client, run, name):
    client.log_text(run.info.run_id, "text of " + name, f"folder/{name}")
    # The client sends what looks quoted as it is.
    stored = name.replace("%25", "%")
    assert list(paths(client, run.info.run_id)) == [f"folder/{stored}"]
    local = client.download_artifacts(run.info.run_id, f"folder/{name}")
    assert open(local, encoding="utf-8").read() == "text of " + name


def test_a_folder_up_and_down(client, run, tmp_path):
    files = {"a.txt": b"a", "empty": b"", "deep/er/b.bin": bytes(range(256)), "deep/same.bin": bytes(range(256))}
    for path, data in files.items():
        (tmp_path / "up" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / path).write_bytes(data)
    client.log_artifacts(run.info.run_id, str(tmp_path / "up"), "tree")
    assert paths(client, run.info.run_id) == {f"tree/{path}": len(data) for path, data in files.items()}
    top = client.list_artifacts(run.info.run_id)
    assert [(one.path, one.is_dir, one.file_size) for one in top] == [("tree", True, None)]
    local = client.download_artifacts(run.info.run_id, "tree", str(tmp_path))
    for path, data in files.items():
        assert open(os.path.join(local, path), "rb").read() == data
    local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="tree/deep")
    assert sorted(os.listdir(local)) == ["er", "same.bin"]


def test_a_file_again_is_replaced(client, run):
    client.log_text(run.info.run_id, "first, and longer", "note.txt")
    client.log_text(run.info.run_id, "second", "note.txt")
    assert paths(client, run.info.run_id) == {"note.txt": 6}
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt") == "second"


@pytest.mark.parametrize("multipart", ["false", "true"])
def test_thirty_megabytes(client, run, tmp_path, monkeypatch, multipart):
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", multipart)
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(20 * 1024 * 1024))
    data = numpy.random.default_rng(7).bytes(30 * 1024 * 1024)
    (tmp_path / "big.bin").write_bytes(data)
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"), "models")
    assert paths(client, run.info.run_id) == {"models/big.bin": len(data)}
    local = client.download_artifacts(run.info.run_id, "models/big.bin", str(tmp_path))
    assert hashlib.sha256(open(local, "rb").read()).digest() == hashlib.sha256(data).digest()


def test_nothing_there(client, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    assert client.list_artifacts(run.info.run_id) == []
    assert client.list_artifacts(run.info.run_id, "nowhere") == []
    with pytest.raises((MlflowException, OSError)):
        client.download_artifacts(run.info.run_id, "nowhere.txt")


def test_deleted_by_the_repository(client, run):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run.info.run_id, "a", "folder/a.txt")
    client.log_text(run.info.run_id, "b", "folder/b.txt")
    client.log_text(run.info.run_id, "c", "c.txt")
    repository = get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("folder/a.txt")
    assert set(paths(client, run.info.run_id)) == {"folder/b.txt", "c.txt"}
    repository.delete_artifacts("folder")
    assert set(paths(client, run.info.run_id)) == {"c.txt"}


def test_paths_that_lead_out(client, run):
    root = f"2.0/mlflow-artifacts/artifacts/{run.info.experiment_id}/{run.info.run_id}/artifacts"
    # A backslash is a letter to MLflow's own server when it runs on Linux.
    backslashes = () if IS_STOCK else ("a%5c..%5c..%5cx",)
    for path in ("%2e%2e/%2e%2e/x.txt", "..%2f..%2fx.txt", "%252e%252e%252fx.txt", "a/%2e%2e/%2e%2e/x", *backslashes):
        status, body = call("PUT", f"{root}/{path}", data=b"x")
        assert 400 <= status < 500, (path, status, body)
    assert client.list_artifacts(run.info.run_id) == []
