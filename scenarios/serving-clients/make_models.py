"""Makes the models of this suite that a generator in TypeScript does not make: `make_models.py FOLDER`."""

import json
import sys
from pathlib import Path

import mlflow
import numpy
import onnx
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

ECHO = {
    "number": (TensorProto.INT64, "long"),
    "text": (TensorProto.STRING, "string"),
    "flag": (TensorProto.BOOL, "boolean"),
    "real": (TensorProto.DOUBLE, "double"),
}


def make_echo(folder: Path) -> None:
    """Gives back what it is given, so that a changed bit is seen."""
    shape = ["rows", 1]
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ECHO],
        "echo",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, _) in ECHO.items()],
        [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, (kind, _) in ECHO.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    signature = {
        "format": "onnx",
        "payload": "model.onnx",
        "inputs": [{"name": name, "type": type} for name, (_, type) in ECHO.items()],
        "outputs": [{"name": f"{name}_out", "type": type, "shape": [1]} for name, (_, type) in ECHO.items()],
        "score": {"output": "number_out"},
    }
    (folder / "signature.json").write_text(json.dumps(signature))


def make_half(folder: Path) -> None:
    """A double made a half, whose 16 bits no JSON number and no typed list of gRPC has."""
    cast = helper.make_node("Cast", ["value"], ["half"], to=TensorProto.FLOAT16)
    inputs = [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["rows", 1])]
    outputs = [helper.make_tensor_value_info("half", TensorProto.FLOAT16, ["rows", 1])]
    graph = helper.make_graph([cast], "half", inputs, outputs)
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), folder / "model.onnx")
    signature = {
        "format": "onnx",
        "payload": "model.onnx",
        "inputs": [{"name": "value", "type": "double"}],
        "outputs": [{"name": "half", "type": "float", "shape": [1]}],
        "score": {"output": "half"},
    }
    (folder / "signature.json").write_text(json.dumps(signature))


def make_iris(folder: Path, expected: Path) -> None:
    """A scikit-learn classifier as ONNX, saved by MLflow, and what scikit-learn itself predicts."""
    data = load_iris()
    rows = data.data.astype(numpy.float32)
    classifier = LogisticRegression(max_iter=500).fit(rows, data.target)
    graph = to_onnx(classifier, rows[:1], options={"zipmap": False})
    signature = mlflow.models.infer_signature(rows, {"label": data.target, "probabilities": classifier.predict_proba(rows)})
    mlflow.onnx.save_model(graph, folder, signature=signature, pip_requirements=[])
    expected.write_text(json.dumps(classifier.predict_proba(rows).tolist()))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make_echo(target / "repository" / "echo")
    make_half(target / "repository" / "half")
    make_iris(target / "repository" / "iris", target / "iris-expected.json")
