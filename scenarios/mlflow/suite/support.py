"""What the tests share. The runner (scripts/test-mlflow.ts) names the server by MLFLOW_TRACKING_URI and describes it in ESPALIER_SUITE."""

import json
import os
import re

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException

CLIENT_MAJOR = int(mlflow.__version__.split(".")[0])
SUITE = json.loads(os.environ.get("ESPALIER_SUITE", '{"server": "espalier"}'))
IS_STOCK = SUITE["server"] == "stock"
URI = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")

needs_mlflow_3 = pytest.mark.skipif(CLIENT_MAJOR < 3, reason="this client has not got the call")


def espalier_only(reason):
    return pytest.mark.skipif(IS_STOCK, reason=f"MLflow's own server: {reason}")


def call(method, path, body=None, headers=None, **options):
    """A request as no client would send it. Answers the HTTP status and the JSON body."""
    if method == "GET":
        options["params"] = body
    elif body is not None:
        options["json"] = body
    url = path if path.startswith("http") else f"{URI}/api/{path if path[:2] in ('2.', '3.') else f'2.0/mlflow/{path}'}"
    answer = requests.request(method, url, headers=headers, timeout=60, **options)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


class raises_mlflow:
    """Expects an MlflowException with this code (or one of `A|B`) and a message that matches."""

    def __init__(self, code, pattern=""):
        self.code, self.pattern = code, pattern

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind is not None, f"nothing was raised instead of {self.code}"
        if not isinstance(error, MlflowException):
            return False
        assert error.error_code in self.code.split("|"), f"{error.error_code}: {error}"
        assert re.search(self.pattern, str(error)), str(error)
        self.error = error
        return True


def log_sklearn(model, name, **options):
    """`artifact_path` became `name` in MLflow 3. Named requirements spare a start of Python that would infer them."""
    options.setdefault("pip_requirements", ["scikit-learn"])
    if CLIENT_MAJOR < 3:
        return mlflow.sklearn.log_model(model, artifact_path=name, **options)
    return mlflow.sklearn.log_model(model, name=name, **options)


def model_kwargs(name):
    return {"artifact_path": name} if CLIENT_MAJOR < 3 else {"name": name}
