"""The load that a user's script makes, with MLflow's own client: `client.py MODE OPTIONS`. Prints `ready`, waits for a line, prints JSON."""

import hashlib
import json
import os
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

client = MlflowClient()
# MLflow's own words to the user would stand between ours.
answers, sys.stdout = sys.stdout, sys.stderr


def until(seconds, work):
    """Repeats for so long; how often, how long each took, and what failed."""
    times, failed, started = [], 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        try:
            work(len(times))
        except mlflow.exceptions.MlflowException:
            failed += 1
        times.append(time.perf_counter() - before)
    return {"count": len(times) - failed, "failed": failed, "seconds": time.perf_counter() - started, "times": times}


def batch(run_id, seconds, size=1000):
    now = int(time.time() * 1000)

    def work(index):
        steps = range(index * size // 20, (index + 1) * size // 20)
        client.log_batch(run_id, metrics=[Metric(f"m{key}", 0.5 * step, now, step) for step in steps for key in range(20)])

    return lambda: until(seconds, work)


def single(run_id, seconds):
    return lambda: until(seconds, lambda index: client.log_metric(run_id, "loss", 0.5 * index, step=index))


def search(experiment_id, count, condition, order):
    def work():
        times = []
        for index in range(count):
            before = time.perf_counter()
            client.search_runs(
                [experiment_id], condition[index % len(condition)], order_by=[order[index % len(order)]], max_results=100
            )
            times.append(time.perf_counter() - before)
        return {"count": count, "times": times}

    return work


def load_model(experiment_id):
    # Here and not above: its import takes seconds, which the other loads need not wait for.
    class Nothing(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return model_input

    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_run() as started:
        mlflow.pyfunc.log_model(name="model", python_model=Nothing(), pip_requirements=[])

    def work():
        before = time.perf_counter()
        mlflow.pyfunc.load_model(f"runs:/{started.info.run_id}/model")
        return {"seconds": time.perf_counter() - before}

    return work


def artifact(run_id, path, target):
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

    def work():
        before = time.perf_counter()
        client.log_artifact(run_id, path)
        between = time.perf_counter()
        local = client.download_artifacts(run_id, os.path.basename(path), target)
        after = time.perf_counter()
        if os.path.getsize(local) != os.path.getsize(path) or digest(local) != digest(path):
            raise SystemExit("What came down is not what went up")
        return {"up": between - before, "down": after - between}

    return work


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


work = {"batch": batch, "single": single, "search": search, "load-model": load_model, "artifact": artifact}[sys.argv[1]](
    **json.loads(sys.argv[2])
)
print("ready", file=answers, flush=True)
sys.stdin.readline()
print(json.dumps(work()), file=answers, flush=True)
