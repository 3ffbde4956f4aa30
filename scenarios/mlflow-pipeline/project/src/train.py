"""Code as teams have it: it names an experiment of its own, logs by autolog, nests runs, and knows nothing of Espalier's record."""

import json
import os
import sys
from pathlib import Path

import mlflow
import numpy as np
from sklearn.linear_model import LogisticRegression

params = json.loads(os.environ["ESPALIER_PARAMS"])
tried = Path(sys.argv[1]) / "tried"

mlflow.set_experiment("team/old experiment")
mlflow.sklearn.autolog(log_models=False, log_datasets=False)

rows = np.random.default_rng(7).normal(size=(200, 3))
target = rows[:, 0] > 0
with mlflow.start_run() as run:
    model = LogisticRegression(C=0.5).fit(rows, target)
    mlflow.log_metric("own", 1.5, step=3)
    mlflow.set_tag("team", "delays")
    with mlflow.start_run(nested=True, run_name="fold") as fold:
        mlflow.log_metric("fold.auc", 0.75)
        with mlflow.start_run(nested=True, run_name="deep"):
            mlflow.log_param("depth", 2)
    if str(params["fail_first"]) == "1" and not tried.exists():
        tried.touch()
        sys.exit(5)
    if params["end"] == "killed":
        with mlflow.start_run(nested=True, run_name="left open"):
            print("waiting", flush=True)
            while True:
                pass
    if params["end"] == "failed":
        os._exit(9)
# A second run at the top, after the one that the environment names.
with mlflow.start_run(run_name="afterwards"):
    mlflow.log_metric("late", 1)
(Path(os.environ["ESPALIER_OUTPUTS"]) / "score").write_text(json.dumps(model.score(rows, target)))
