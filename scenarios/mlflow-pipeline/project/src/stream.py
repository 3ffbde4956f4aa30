"""Logs without a pause, and writes down what was acknowledged."""

import os
import sys
from pathlib import Path

import mlflow

folder = Path(sys.argv[1])
with mlflow.start_run(), open(folder / "acknowledged", "w", encoding="utf-8", buffering=1) as acknowledged:
    index = 0
    while not (folder / "go").exists():
        mlflow.log_metric("loss", 1 / (1 + index), step=index)
        acknowledged.write(f"{index}\n")
        index += 1
(Path(os.environ["ESPALIER_OUTPUTS"]) / "count").write_text(str(index))
