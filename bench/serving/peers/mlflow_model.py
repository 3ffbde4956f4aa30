"""Saves an ONNX file as an MLflow model with the ONNX flavour: `mlflow_model.py MODEL COLUMNS FOLDER`."""

import sys

import mlflow
import numpy
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

file, columns, folder = sys.argv[1:]
signature = ModelSignature(
    inputs=Schema([TensorSpec(numpy.dtype(numpy.float32), (-1, int(columns)), "input")]),
    outputs=Schema([TensorSpec(numpy.dtype(numpy.float32), (-1, 1), "probability")]),
)
options = {"graph_optimization_level": 99, "intra_op_num_threads": 1}
mlflow.onnx.save_model(
    onnx.load(file),
    folder,
    signature=signature,
    pip_requirements=[],
    onnx_session_options=options,
    onnx_execution_providers=["CPUExecutionProvider"],
)
