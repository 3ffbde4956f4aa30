"""Fits y = slope * x, as a team's script would that has always said `import mlflow`."""

import argparse
import json
from pathlib import Path

import mlflow
import numpy
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, required=True)
parser.add_argument("--out", type=Path, required=True)
arguments = parser.parse_args()

rows = numpy.arange(20, dtype=numpy.float32).reshape(-1, 1)
model = LinearRegression().fit(rows, rows[:, 0] * arguments.slope)

mlflow.set_experiment("an experiment of the script's own")
with mlflow.start_run():
    mlflow.log_param("slope", int(arguments.slope))
    mlflow.set_tag("from", "the step")
    for step in range(10):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("mse", float(numpy.mean((model.predict(rows) - rows[:, 0] * arguments.slope) ** 2)))
    mlflow.log_text("fitted", "note.txt")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("fold", 1)

arguments.out.mkdir(parents=True, exist_ok=True)
(arguments.out / "model.onnx").write_bytes(to_onnx(model, rows[:1], target_opset=17).SerializeToString())
signature = {
    "format": "onnx",
    "payload": "model.onnx",
    "inputs": [{"name": "x", "type": "float"}],
    "outputs": [{"name": "variable", "type": "float", "shape": [1]}],
}
(arguments.out / "signature.json").write_text(json.dumps(signature), encoding="utf-8")
