import mlflow
import pytest
from mlflow.entities import ViewType
from support import needs_mlflow_3, raises_mlflow


def test_created_with_tags_and_found_by_id_and_by_name(client, unique):
    experiment_id = client.create_experiment(unique, tags={"team": "flights", "clé": "é✓"})
    for found in (client.get_experiment(experiment_id), client.get_experiment_by_name(unique)):
        assert (found.experiment_id, found.name, found.lifecycle_stage) == (experiment_id, unique, "active")
        assert found.tags == {"team": "flights", "clé": "é✓"}
        assert found.artifact_location == f"mlflow-artifacts:/{experiment_id}"
        assert found.creation_time == found.last_update_time > 1_600_000_000_000


def test_experiment_0_is_called_default(client):
    assert client.get_experiment("0").name == "Default"
    assert client.get_experiment_by_name("Default").experiment_id == "0"


def test_what_does_not_exist(client, unique):
    assert client.get_experiment_by_name(unique) is None
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=999999999 exists"):
        client.get_experiment("999999999")


def test_a_name_is_taken_once(client, unique):
    experiment_id = client.create_experiment(unique)
    with raises_mlflow("RESOURCE_ALREADY_EXISTS", "already exists"):
        client.create_experiment(unique)
    client.delete_experiment(experiment_id)
    with raises_mlflow("RESOURCE_ALREADY_EXISTS", "already exists"):
        client.create_experiment(unique)


def test_set_experiment_creates_it_and_finds_it_again(unique):
    first = mlflow.set_experiment(unique)
    again = mlflow.set_experiment(unique)
    assert first.experiment_id == again.experiment_id
    with mlflow.start_run() as started:
        assert started.info.experiment_id == first.experiment_id


def test_rename(client, unique):
    experiment_id = client.create_experiment(unique)
    before = client.get_experiment(experiment_id)
    client.rename_experiment(experiment_id, f"{unique} renamed")
    after = client.get_experiment(experiment_id)
    assert after.name == f"{unique} renamed"
    assert after.last_update_time >= before.last_update_time
    assert client.get_experiment_by_name(unique) is None


def test_tags_are_set_and_overwritten(client, experiment):
    client.set_experiment_tag(experiment, "stage", "draft")
    client.set_experiment_tag(experiment, "stage", "final")
    client.set_experiment_tag(experiment, "other", "")
    tags = client.get_experiment(experiment).tags
    assert (tags["stage"], tags["other"]) == ("final", "")


@needs_mlflow_3
def test_tags_are_deleted(client, experiment):
    client.set_experiment_tag(experiment, "stage", "draft")
    client.delete_experiment_tag(experiment, "stage")
    assert "stage" not in client.get_experiment(experiment).tags
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST"):
        client.delete_experiment_tag(experiment, "stage")


def test_delete_takes_its_runs_along_and_restore_brings_them_back(client, experiment):
    run_id = client.create_run(experiment).info.run_id
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    deleted = client.search_experiments(view_type=ViewType.DELETED_ONLY, order_by=["last_update_time DESC"])
    assert experiment in [found.experiment_id for found in deleted]
    with raises_mlflow("INVALID_PARAMETER_VALUE", "active"):
        client.create_run(experiment)
    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_a_deleted_experiment_can_not_be_made_the_active_one(client, experiment):
    name = client.get_experiment(experiment).name
    client.delete_experiment(experiment)
    with raises_mlflow("INVALID_PARAMETER_VALUE", "deleted"):
        mlflow.set_experiment(name)


@pytest.fixture(scope="module")
def three(request):
    """alpha, Beta and gamma of one group; they are created in this order."""
    import uuid

    from mlflow import MlflowClient

    client, group = MlflowClient(), f"g{uuid.uuid4().hex[:10]}"
    names = ("alpha", "Beta", "gamma")
    ids = {
        name: client.create_experiment(f"{group}/{name}", tags={"group": group, "rank": str(rank)})
        for rank, name in enumerate(names)
    }
    return group, ids


def names_of(found):
    return [one.name.split("/")[1] for one in found]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = '{g}/alpha'", {"alpha"}),
        ("name != '{g}/alpha' AND tags.group = '{g}'", {"Beta", "gamma"}),
        ("name LIKE '{g}/%a'", {"alpha", "Beta", "gamma"}),
        ("name LIKE '{g}/b%'", set()),
        ("name ILIKE '{g}/b%'", {"Beta"}),
        ("attribute.name LIKE '%/gamma' AND tags.`group` = '{g}'", {"gamma"}),
        ("tags.group = '{g}'", {"alpha", "Beta", "gamma"}),
        ("tags.group = '{g}' and tags.rank != '1'", {"alpha", "gamma"}),
        ("tags.group = '{g}' AND tags.\"rank\" = '2'", {"gamma"}),
        ("tags.group LIKE '{g}%' AND tags.rank ILIKE '%0'", {"alpha"}),
        ("tags.group = '{g}' AND creation_time > 0", {"alpha", "Beta", "gamma"}),
        ("tags.group = '{g}' AND last_update_time <= 0", set()),
    ],
)
def test_search(client, three, condition, expected):
    group, _ = three
    assert set(names_of(client.search_experiments(filter_string=condition.format(g=group)))) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["name"], ["Beta", "alpha", "gamma"]),
        (["name DESC"], ["gamma", "alpha", "Beta"]),
        (["experiment_id ASC"], ["alpha", "Beta", "gamma"]),
        (["creation_time DESC"], ["gamma", "Beta", "alpha"]),
        (["last_update_time ASC", "experiment_id"], ["alpha", "Beta", "gamma"]),
    ],
)
def test_order(client, three, order, expected):
    group, ids = three
    condition = f"tags.group = '{group}'"
    found = names_of(client.search_experiments(filter_string=condition, order_by=order))
    assert found == expected


def test_pages_hold_each_experiment_once(client, three):
    group, _ = three
    seen, token = [], None
    while True:
        page = client.search_experiments(
            filter_string=f"tags.group = '{group}'", order_by=["name"], max_results=2, page_token=token
        )
        assert len(page) <= 2
        seen += names_of(page)
        token = page.token
        if not token:
            break
    assert seen == ["Beta", "alpha", "gamma"]


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"filter_string": "name = 'a' OR name = 'b'"}, "Invalid clause"),
        ({"filter_string": "attribute.shape = 'a'"}, "Invalid attribute key"),
        ({"filter_string": "name > 'a'"}, "Invalid comparator"),
        ({"filter_string": "name = a"}, ""),
        ({"order_by": ["shape"]}, "Invalid"),
        ({"max_results": 0}, "max_results"),
        ({"max_results": 50_001}, "max_results"),
    ],
)
def test_a_search_that_makes_no_sense(client, options, pattern):
    with raises_mlflow("INVALID_PARAMETER_VALUE", pattern):
        client.search_experiments(**options)
