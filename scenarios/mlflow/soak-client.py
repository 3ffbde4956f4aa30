"""
One client of the soak: `soak-client.py LEDGER EXPERIMENT RUNS_A_MINUTE SECONDS`. With MLflow's client and its usual retries it makes
runs at a steady pace; what the server has acknowledged goes to the ledger, a JSON line each, and so does what the client was told.
"""

import json
import sys
import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

path, experiment_id, pace, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
client = MlflowClient()
ledger = open(path, "w", buffering=1)


def write(**line):
    ledger.write(json.dumps(line) + "\n")


def acknowledged(run_id, work, **what):
    work()
    write(run=run_id, **what)


def one(index):
    run_id = client.create_run(experiment_id, run_name=f"run {index}").info.run_id
    write(run=run_id)
    now = int(time.time() * 1000)
    params = {f"p{at}": f"{index}-{at}" for at in range(5)}
    acknowledged(run_id, lambda: client.log_batch(run_id, params=[Param(*pair) for pair in params.items()]), params=params)
    for half in range(2):
        metrics = {f"m{half}{at}": index + at / 10 for at in range(8)}
        points = [Metric(key, value, now, 0) for key, value in metrics.items()]
        acknowledged(run_id, lambda: client.log_batch(run_id, metrics=points), metrics=metrics)
    for step in range(4):
        value = 1 / (index + step + 1)
        acknowledged(run_id, lambda: client.log_metric(run_id, "loss", value, step=step), loss=step, value=value)
    acknowledged(run_id, lambda: client.set_tag(run_id, "stage", f"done {index}"), tags={"stage": f"done {index}"})
    acknowledged(run_id, lambda: client.set_terminated(run_id), status="FINISHED")


print("ready", flush=True)
sys.stdin.readline()
started = time.monotonic()
index = 0
while time.monotonic() - started < seconds:
    due = started + index * 60 / pace
    time.sleep(max(0, due - time.monotonic()))
    try:
        one(index)
    except Exception as error:
        write(error=f"{type(error).__name__}: {error}"[:500])
    index += 1
write(done=index)
