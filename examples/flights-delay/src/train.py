"""Trains the delay model and writes it as an ONNX folder with its signature. Same rows, same bytes, at any number of threads."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

# Threads that wait shall sleep: spinning, as OpenMP does by default, takes several times the time on a machine that does other work too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pyarrow.parquet as pq
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

try:
    import mlflow
except ImportError:
    sys.exit("train.py logs its parameters and metrics by MLflow, and this Python has none: pip install mlflow-skinny")

FEATURES = ["hour", "weekday", "distance", "origin_rate", "destination_rate", "hour_rate", "weekday_rate"]
TARGET = "late"


def record(params, metrics):
    """To the run of this attempt, which the step's environment names; run by hand without MLFLOW_TRACKING_URI, to the terminal."""
    if "MLFLOW_TRACKING_URI" not in os.environ:
        print(json.dumps({**params, **metrics}))
        return
    with mlflow.start_run():
        mlflow.log_params(params)
        mlflow.log_metrics(metrics)


def load(path):
    table = pq.read_table(path, columns=[*FEATURES, TARGET])
    rows = np.column_stack([table[name].to_numpy() for name in FEATURES]).astype(np.float32)
    return rows, table[TARGET].to_numpy()


def fit(rows, target, learning_rate, trees):
    model = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=learning_rate,
        max_leaf_nodes=15,
        min_samples_leaf=500,
        early_stopping=False,
        random_state=7,
        # More delays in the past never make a flight more punctual: without this the trees learn single days by heart.
        monotonic_cst=[1 if name.endswith("_rate") else 0 for name in FEATURES],
    )
    return model.fit(rows, target)


def export(model, folder):
    onnx = to_onnx(
        model,
        name="flights_delay",
        initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(onnx.SerializeToString(deterministic=True))
    signature = {
        "format": "onnx",
        "payload": "model.onnx",
        "inputs": [{"name": name, "type": "float"} for name in FEATURES],
        "outputs": [
            {"name": "label", "type": "long"},
            {"name": "probabilities", "type": "float", "shape": [2]},
        ],
        "score": {"output": "probabilities", "index": 1},
    }
    (folder / "signature.json").write_text(json.dumps(signature, indent=2) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--trees", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    rows, target = load(arguments.data)
    print(f"{len(rows)} rows, {target.mean():.1%} late")
    started = time.monotonic()
    model = fit(rows, target, arguments.learning_rate, arguments.trees)
    seconds = time.monotonic() - started
    # A sample is enough to see how well it fits what it has seen; the verdict is the evaluation's.
    sample = slice(None, None, max(1, len(rows) // 100_000))
    scores = model.predict_proba(rows[sample])[:, 1]
    record(
        {"learning_rate": arguments.learning_rate, "trees": arguments.trees, "rows": len(rows)},
        {
            "fit.seconds": seconds,
            "train.auc": float(roc_auc_score(target[sample], scores)),
            "train.log_loss": float(log_loss(target[sample], scores)),
        },
    )
    export(model, arguments.out)


if __name__ == "__main__":
    main()
