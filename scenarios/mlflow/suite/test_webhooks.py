import pytest
from support import SUITE, needs_mlflow_3, raises_mlflow

pytestmark = needs_mlflow_3
# Named and never called: a webhook whose receiver is not public is refused.
ADDRESS = "https://1.1.1.1/mlflow"


@pytest.fixture(autouse=True)
def signed_in(monkeypatch):
    """Espalier lets nobody without a token make the server reach out."""
    if "token" in SUITE:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SUITE["token"])


def test_created_listed_updated_deleted(client, unique):
    created = client.create_webhook(
        unique, ADDRESS, ["prompt.created", "prompt_version.created"], description="words", secret="s" * 16
    )
    found = client.get_webhook(created.webhook_id)
    assert (found.name, found.url, found.description, str(found.status)) == (unique, ADDRESS, "words", "ACTIVE")
    assert {str(event) for event in found.events} == {"prompt.created", "prompt_version.created"}
    assert getattr(found, "secret", None) is None
    assert created.webhook_id in [one.webhook_id for one in client.list_webhooks()]
    client.update_webhook(created.webhook_id, status="DISABLED", events=["model_version_alias.created"])
    changed = client.get_webhook(created.webhook_id)
    assert str(changed.status) == "DISABLED"
    assert [str(event) for event in changed.events] == ["model_version_alias.created"]
    client.delete_webhook(created.webhook_id)
    with raises_mlflow("RESOURCE_DOES_NOT_EXIST", "not found"):
        client.get_webhook(created.webhook_id)


@pytest.mark.parametrize(
    ("name", "address", "events"),
    [
        ("x", "http://hooks.invalid/mlflow", ["registered_model.created"]),
        ("x", "ftp://hooks.invalid/mlflow", ["registered_model.created"]),
        ("x", "nowhere", ["registered_model.created"]),
        ("x" * 64, ADDRESS, ["registered_model.created"]),
        ("-", ADDRESS, ["registered_model.created"]),
        ("x", ADDRESS, []),
    ],
)
def test_refused(client, name, address, events):
    with raises_mlflow("INVALID_PARAMETER_VALUE", ""):
        client.create_webhook(name, address, events)
