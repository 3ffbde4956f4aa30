import mlflow
import pytest
from mlflow.entities import ViewType
from support import raises_mlflow


def test_a_run_from_start_to_end(client, experiment):
    with mlflow.start_run(run_name="first", description="what it is", tags={"kind": "demo"}) as started:
        assert client.get_run(started.info.run_id).info.status == "RUNNING"
    ended = client.get_run(started.info.run_id)
    assert ended.info.status == "FINISHED"
    assert ended.info.run_name == "first"
    assert ended.info.end_time >= ended.info.start_time > 1_600_000_000_000
    assert ended.info.lifecycle_stage == "active"
    assert ended.info.artifact_uri == f"mlflow-artifacts:/{experiment}/{started.info.run_id}/artifacts"
    assert ended.data.tags["mlflow.runName"] == "first"
    assert ended.data.tags["mlflow.note.content"] == "what it is"
    assert ended.data.tags["kind"] == "demo"
    assert ended.data.tags["mlflow.user"]


def test_a_run_without_a_name_gets_one(client, run):
    assert run.info.run_name
    assert client.get_run(run.info.run_id).data.tags["mlflow.runName"] == run.info.run_name


def test_an_exception_makes_it_failed(client, experiment):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as started:
        1 / 0
    assert client.get_run(started.info.run_id).info.status == "FAILED"


@pytest.mark.parametrize("status", ["KILLED", "FAILED", "FINISHED", "SCHEDULED", "RUNNING"])
def test_any_status_can_be_set(client, run, status):
    client.update_run(run.info.run_id, status=status)
    assert client.get_run(run.info.run_id).info.status == status


def test_set_terminated_takes_the_time(client, run):
    client.set_terminated(run.info.run_id, "KILLED", end_time=1_700_000_000_123)
    info = client.get_run(run.info.run_id).info
    assert (info.status, info.end_time) == ("KILLED", 1_700_000_000_123)


def test_name_and_tag_are_one(client, run):
    run_id = run.info.run_id
    client.update_run(run_id, name="by update")
    assert client.get_run(run_id).data.tags["mlflow.runName"] == "by update"
    client.set_tag(run_id, "mlflow.runName", "by tag")
    assert client.get_run(run_id).info.run_name == "by tag"
    with raises_mlflow("INVALID_PARAMETER_VALUE", "mlflow.runName"):
        client.create_run(run.info.experiment_id, run_name="one", tags={"mlflow.runName": "other"})


def test_nested_runs(client, experiment):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child, mlflow.start_run(nested=True) as grandchild:
            mlflow.log_metric("depth", 2)
    assert client.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    assert client.get_parent_run(grandchild.info.run_id).info.run_id == child.info.run_id
    assert client.get_parent_run(parent.info.run_id) is None
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert [one.info.run_id for one in found] == [child.info.run_id]


def test_a_run_is_taken_up_again(client, experiment):
    with mlflow.start_run() as first:
        mlflow.log_metric("loss", 1, step=1)
    with mlflow.start_run(run_id=first.info.run_id):
        assert client.get_run(first.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("loss", 0.5, step=2)
    again = client.get_run(first.info.run_id)
    assert again.info.status == "FINISHED"
    assert again.data.metrics == {"loss": 0.5}
    assert mlflow.last_active_run().info.run_id == first.info.run_id


def test_delete_and_restore(client, experiment, run):
    run_id = run.info.run_id
    client.log_param(run_id, "kept", "yes")
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert client.search_runs([experiment]) == []
    assert [one.info.run_id for one in client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)] == [run_id]
    assert [one.info.run_id for one in client.search_runs([experiment], run_view_type=ViewType.ALL)] == [run_id]
    for write in (
        lambda: client.log_metric(run_id, "a", 1),
        lambda: client.log_param(run_id, "a", 1),
        lambda: client.set_tag(run_id, "a", 1),
        lambda: client.update_run(run_id, status="FINISHED"),
    ):
        with raises_mlflow("INVALID_PARAMETER_VALUE", "must be in the 'active' state"):
            write()
    client.restore_run(run_id)
    restored = client.get_run(run_id)
    assert restored.info.lifecycle_stage == "active"
    assert restored.data.params == {"kept": "yes"}


def test_what_does_not_exist(client):
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", f"Run with id={'0' * 32} not found"):
        client.get_run("0" * 32)
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=999999999 exists"):
        client.create_run("999999999")


def test_start_time_is_the_clients(client, experiment):
    run = client.create_run(experiment, start_time=123_456_789_012)
    assert client.get_run(run.info.run_id).info.start_time == 123_456_789_012
