import mlflow
import pytest
from support import CLIENT_MAJOR, needs_mlflow_3, raises_mlflow


@pytest.fixture
def model(client, unique):
    client.create_registered_model(unique, tags={"team": "red"}, description="first words")
    return unique


@pytest.fixture
def version(client, run, model):
    """Makes a version of the run's artifacts."""
    client.log_text(run.info.run_id, "x", "model/weights.txt")

    def make(**options):
        return client.create_model_version(
            model, f"{run.info.artifact_uri}/model", run_id=run.info.run_id, await_creation_for=0, **options
        )

    return make


def downloaded(client, model, version):
    uri = client.get_model_version_download_uri(model, version)
    return mlflow.artifacts.load_text(f"{uri}/weights.txt")


def test_created_updated_renamed_deleted(client, model):
    found = client.get_registered_model(model)
    assert (found.name, found.description, found.tags) == (model, "first words", {"team": "red"})
    assert found.creation_timestamp > 1_600_000_000_000
    client.update_registered_model(model, "other words")
    assert client.get_registered_model(model).description == "other words"
    client.rename_registered_model(model, f"{model} renamed")
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
        client.get_registered_model(model)
    assert client.get_registered_model(f"{model} renamed").tags == {"team": "red"}
    client.delete_registered_model(f"{model} renamed")
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
        client.get_registered_model(f"{model} renamed")
    # The name is free again.
    client.create_registered_model(model)


def test_a_name_is_taken_once(client, model):
    with raises_mlflow("RESOURCE_ALREADY_EXISTS", "already exists"):
        client.create_registered_model(model)


def test_versions_count_up(client, run, model, version):
    first, second = version(), version(tags={"a": "1"}, description="the second")
    assert (first.version, second.version) == ("1", "2")
    found = client.get_model_version(model, "2")
    assert (found.tags, found.description, found.run_id) == ({"a": "1"}, "the second", run.info.run_id)
    assert (found.status, found.current_stage, found.source) == ("READY", "None", f"{run.info.artifact_uri}/model")
    assert downloaded(client, model, "2") == "x"
    client.delete_model_version(model, "2")
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
        client.get_model_version(model, "2")
    # A number is given out once.
    assert version().version in ("2", "3")
    assert [one.version for one in client.search_model_versions(f"name = '{model}'")][-1] == "1"


def test_tags(client, model, version):
    version()
    client.set_registered_model_tag(model, "stage", "draft")
    client.set_registered_model_tag(model, "stage", "final")
    client.delete_registered_model_tag(model, "team")
    assert client.get_registered_model(model).tags == {"stage": "final"}
    client.set_model_version_tag(model, "1", "quality", "é✓")
    client.set_model_version_tag(model, "1", "gone", "x")
    client.delete_model_version_tag(model, "1", "gone")
    assert client.get_model_version(model, "1").tags == {"quality": "é✓"}
    client.update_model_version(model, "1", "words")
    assert client.get_model_version(model, "1").description == "words"


def test_aliases(client, model, version):
    version()
    version()
    client.set_registered_model_alias(model, "champion", "1")
    client.set_registered_model_alias(model, "challenger", "1")
    client.set_registered_model_alias(model, "champion", "2")
    assert client.get_model_version_by_alias(model, "champion").version == "2"
    found = client.get_registered_model(model).aliases
    assert {alias: str(number) for alias, number in found.items()} == {"champion": "2", "challenger": "1"}
    assert client.get_model_version(model, "1").aliases == ["challenger"]
    client.delete_registered_model_alias(model, "challenger")
    with raises_mlflow("INVALID_PARAMETER_VALUE|RESOURCE_DOES_NOT_EXIST", "alias challenger not found"):
        client.get_model_version_by_alias(model, "challenger")
    client.delete_model_version(model, "2")
    with raises_mlflow("INVALID_PARAMETER_VALUE|RESOURCE_DOES_NOT_EXIST", "alias champion not found"):
        client.get_model_version_by_alias(model, "champion")


@pytest.mark.parametrize("alias", ["latest", "v12", "with space", "a" * 256, "a/b"])
def test_an_alias_that_may_not_be(client, model, version, alias):
    version()
    with raises_mlflow("INVALID_PARAMETER_VALUE", ""):
        client.set_registered_model_alias(model, alias, "1")


def test_stages(client, model, version):
    for _ in range(3):
        version()
    client.transition_model_version_stage(model, "1", "Production")
    client.transition_model_version_stage(model, "2", "staging")
    latest = {one.current_stage: one.version for one in client.get_latest_versions(model)}
    assert latest == {"Production": "1", "Staging": "2", "None": "3"}
    client.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    assert client.get_model_version(model, "1").current_stage == "Archived"
    assert [one.version for one in client.get_latest_versions(model, ["Production"])] == ["2"]
    with raises_mlflow("INVALID_PARAMETER_VALUE", "[Ss]tage"):
        client.transition_model_version_stage(model, "1", "Nowhere")


def test_a_version_is_copied(client, run, model, version, unique):
    version(tags={"a": "1"})
    copied = client.copy_model_version(f"models:/{model}/1", f"{unique} production")
    assert (copied.name, str(copied.version)) == (f"{unique} production", "1")
    assert client.get_model_version(f"{unique} production", "1").run_id == run.info.run_id
    assert downloaded(client, f"{unique} production", "1") == "x"
    again = client.copy_model_version(f"models:/{unique} production/1", f"{unique} production")
    assert str(again.version) == "2"


def test_what_does_not_exist(client, unique, run, model):
    for call in (
        lambda: client.get_registered_model(f"{unique} no"),
        lambda: client.get_model_version(model, "7"),
        lambda: client.set_registered_model_tag(f"{unique} no", "a", "b"),
        lambda: client.set_model_version_tag(model, "7", "a", "b"),
        lambda: client.set_registered_model_alias(model, "champion", "7"),
        lambda: client.delete_registered_model(f"{unique} no"),
        lambda: client.create_model_version(
            f"{unique} no", f"{run.info.artifact_uri}/x", run_id=run.info.run_id, await_creation_for=0
        ),
    ):
        with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
            call()
    with raises_mlflow("INVALID_PARAMETER_VALUE", "integer|version"):
        client.get_model_version(model, "one")


def test_models_are_searched(client, unique):
    for name, team in (("alpha", "red"), ("Beta", "blue"), ("gamma", "red")):
        client.create_registered_model(f"{unique} {name}", tags={"group": unique, "team": team})

    def search(condition, **options):
        found = client.search_registered_models(filter_string=condition, **options)
        return [one.name.split(" ")[1] for one in found]

    group = f"tags.`group` = '{unique}'"
    assert search(group) == ["Beta", "alpha", "gamma"]
    assert search(f"name = '{unique} alpha'") == ["alpha"]
    assert search(f"name LIKE '{unique} %a'", order_by=["name DESC"]) == ["gamma", "alpha", "Beta"]
    assert search(f"name ILIKE '{unique} b%'") == ["Beta"]
    assert search(f"name LIKE '{unique} b%'") == []
    assert search(f"{group} AND tags.team = 'red'") == ["alpha", "gamma"]
    assert search(f"{group} AND tags.team != 'red'") == ["Beta"]
    first = client.search_registered_models(group, max_results=2)
    rest = client.search_registered_models(group, max_results=2, page_token=first.token)
    assert len(first) == 2
    assert [one.name.split(" ")[1] for one in rest] == ["gamma"]
    with raises_mlflow("INVALID_PARAMETER_VALUE", ""):
        search("team = 'red'")
    with raises_mlflow("INVALID_PARAMETER_VALUE", "max_results"):
        client.search_registered_models(max_results=1001)


def test_versions_are_searched(client, run, model, version):
    for index in range(3):
        version(tags={"odd": str(index % 2)})

    def search(condition, **options):
        return [one.version for one in client.search_model_versions(condition, **options)]

    assert search(f"name = '{model}'") == ["3", "2", "1"]
    assert search(f"name = '{model}'", order_by=["version_number ASC"]) == ["1", "2", "3"]
    assert search(f"name = '{model}' AND tags.odd = '0'") == ["3", "1"]
    assert search(f"name = '{model}' AND version_number > 1") == ["3", "2"]
    assert search(f"run_id = '{run.info.run_id}'") == ["3", "2", "1"]
    assert search(f"run_id IN ('{run.info.run_id}', 'other')", max_results=2) == ["3", "2"]
    assert search(f"source_path = '{run.info.artifact_uri}/model'") == ["3", "2", "1"]
    first = client.search_model_versions(f"name = '{model}'", max_results=2)
    rest = client.search_model_versions(f"name = '{model}'", max_results=2, page_token=first.token)
    assert [one.version for one in [*first, *rest]] == ["3", "2", "1"]
    with raises_mlflow("INVALID_PARAMETER_VALUE", ""):
        search("colour = 'red'")


@pytest.mark.parametrize("source", ["/etc", "file:///etc", "mlflow-artifacts:/../../etc", "mlflow-artifacts:/1/%2e%2e/x"])
def test_a_source_that_is_a_place_of_the_server(client, model, source):
    with raises_mlflow("INVALID_PARAMETER_VALUE", "[Ii]nvalid|source"):
        client.create_model_version(model, source, await_creation_for=0)


@needs_mlflow_3
def test_prompts(client, unique):
    first = mlflow.genai.register_prompt(name=unique, template="Say {{word}}.", commit_message="one", tags={"team": "red"})
    assert first.version == 1
    mlflow.genai.register_prompt(name=unique, template="Shout {{word}}!", commit_message="two")
    mlflow.genai.set_prompt_alias(unique, alias="production", version=2)
    assert mlflow.genai.load_prompt(f"prompts:/{unique}/1").format(word="hi") == "Say hi."
    assert mlflow.genai.load_prompt(f"prompts:/{unique}@production").format(word="hi") == "Shout hi!"
    assert mlflow.genai.load_prompt(unique, version=2).commit_message == "two"
    assert unique in [one.name for one in mlflow.genai.search_prompts(filter_string=f"name = '{unique}'")]
    # A prompt is no model to those who ask for models.
    assert client.search_registered_models(filter_string=f"name = '{unique}'") == []
    assert client.search_model_versions(f"name = '{unique}'") == []
    mlflow.genai.delete_prompt_alias(unique, "production")
    with raises_mlflow("INVALID_PARAMETER_VALUE|RESOURCE_DOES_NOT_EXIST|NOT_FOUND", ""):
        mlflow.genai.load_prompt(f"prompts:/{unique}@production", allow_missing=False)


@needs_mlflow_3
def test_prompts_of_a_chat_and_their_tags(client, unique):
    messages = [{"role": "system", "content": "Be {{mood}}."}, {"role": "user", "content": "{{question}}"}]
    mlflow.genai.register_prompt(name=unique, template=messages)
    loaded = mlflow.genai.load_prompt(f"prompts:/{unique}/1")
    assert loaded.format(mood="kind", question="why?")[0] == {"role": "system", "content": "Be kind."}
    client.set_prompt_tag(unique, "team", "red")
    client.set_prompt_version_tag(unique, "1", "checked", "yes")
    assert client.get_prompt(unique).tags["team"] == "red"
    assert client.get_prompt_version(unique, "1").tags["checked"] == "yes"
    client.delete_prompt_version(unique, "1")
    client.delete_prompt(unique)
    assert client.get_prompt(unique) is None


@pytest.mark.skipif(CLIENT_MAJOR >= 3, reason="the same calls as the newer client's, tested above")
def test_prompts_of_mlflow_2(client, unique):
    mlflow.register_prompt(name=unique, template="Say {{word}}.")
    mlflow.set_prompt_alias(unique, alias="production", version=1)
    assert mlflow.load_prompt(f"prompts:/{unique}@production").format(word="hi") == "Say hi."
    assert client.search_registered_models(filter_string=f"name = '{unique}'") == []
