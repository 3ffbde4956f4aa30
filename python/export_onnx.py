"""Exports a model that MLflow logged to ONNX and compares both: `python export_onnx.py MODEL_FOLDER ROWS_CSV OUT_FOLDER`.

Run by the built-in step `export-onnx`, in an environment with mlflow, the model's library, onnxruntime, and skl2onnx (scikit-learn) or
onnxmltools (XGBoost, LightGBM). Writes `model.onnx` and `signature.json`; what it found out goes to standard output, as one line of JSON
behind the line `espalier-export`.
"""

import json
import os
import sys

OPSETS = {"": 18, "ai.onnx.ml": 3}
#: Newer graphs would not be read by the runtime of the model server.
IR_VERSION = 10


class Refused(Exception):
    """The code and text of an error that the step tells."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def need(package, reason):
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise Refused("NOT_INSTALLED", f"{reason} needs the package {package.split('.')[0]} in the step's environment: {error}")


def load(folder):
    """The model as MLflow loads it, the library's own object, and the flavour's name."""
    need("mlflow", "Loading the model")
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    flavors = model.metadata.flavors
    for name in ("sklearn", "xgboost", "lightgbm"):
        if name in flavors:
            implementation = model._model_impl
            raw = implementation.get_raw_model() if hasattr(implementation, "get_raw_model") else None
            for attribute in ("sklearn_model", "xgb_model", "lgb_model"):
                raw = raw if raw is not None else getattr(implementation, attribute, None)
            return model, raw, name
    raise Refused("UNSUPPORTED", f"Models of {', '.join(flavors)} are not exported; scikit-learn, XGBoost and LightGBM are")


def columns_of(model):
    """Type and whether it must be given, by name."""
    schema = model.metadata.get_input_schema()
    if schema is None:
        raise Refused("INVALID_DATA", "The model was logged without a signature: log it with one, so that its columns are known")
    if schema.is_tensor_spec():
        width = schema.inputs[0].shape[-1]
        return {str(index): ("double", True) for index in range(width)}
    return {spec.name: (spec.type.name, getattr(spec, "required", True)) for spec in schema.inputs}


def convert(raw, flavor, columns):
    """The graph: one float matrix where all columns are numbers, else one tensor a column."""
    if flavor == "sklearn":
        skl2onnx = need("skl2onnx", "Exporting scikit-learn models")
        types = need("skl2onnx.common.data_types", "Exporting scikit-learn models")
        options = {id(raw): {"zipmap": False}} if hasattr(raw, "predict_proba") else None
        return skl2onnx.to_onnx(raw, initial_types=initial_types(types, columns), options=options, target_opset=OPSETS)
    onnxmltools = need("onnxmltools", "Exporting XGBoost and LightGBM models")
    types = need("onnxmltools.convert.common.data_types", "Exporting XGBoost and LightGBM models")
    matrix = [("input", types.FloatTensorType([None, len(columns)]))]
    if flavor == "xgboost":
        # The converter knows columns by their place only.
        raw = unnamed(raw)
        return onnxmltools.convert_xgboost(raw, initial_types=matrix, target_opset=15)
    return onnxmltools.convert_lightgbm(raw, initial_types=matrix, target_opset=15, zipmap=False)


def unnamed(raw):
    booster = raw.get_booster() if hasattr(raw, "get_booster") else raw
    booster.feature_names = None
    return raw


def initial_types(types, columns):
    if all(kind not in ("string", "datetime", "boolean") for kind, _ in columns.values()):
        return [("input", types.FloatTensorType([None, len(columns)]))]
    made = {"string": types.StringTensorType, "boolean": types.BooleanTensorType, "long": types.Int64TensorType, "integer": types.Int64TensorType}
    if any(kind == "datetime" for kind, _ in columns.values()):
        raise Refused("UNSUPPORTED", "Columns of dates and times are not exported")
    return [(name, made.get(kind, types.FloatTensorType)([None, 1])) for name, (kind, _) in columns.items()]


def read_rows(path, columns):
    import numpy as np
    import pandas as pd

    wanted = {name: {"string": str, "boolean": bool, "long": np.int64, "integer": np.int32, "float": np.float32}.get(kind, np.float64) for name, (kind, _) in columns.items()}
    rows = pd.read_csv(path, dtype=wanted, float_precision="round_trip", keep_default_na=False, na_values=[""])
    return rows[list(columns)]


def feeds(session, rows):
    import numpy as np

    inputs = session.get_inputs()
    if len(inputs) == 1 and inputs[0].name not in rows.columns:
        return {inputs[0].name: rows.to_numpy(dtype=np.float32)}
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_, "tensor(string)": object}
    return {one.name: rows[one.name].to_numpy(dtype=types[one.type]).reshape(-1, 1) for one in inputs}


def expected_of(model, raw, rows):
    """What the model as logged says, in the form of the graph's outputs: labels and probabilities, or numbers."""
    import numpy as np

    data = rows if not model.metadata.get_input_schema().is_tensor_spec() else rows.to_numpy()
    if hasattr(raw, "predict_proba"):
        return {"label": np.asarray(raw.predict(data)), "probabilities": np.asarray(raw.predict_proba(data))}
    return {"value": np.asarray(model.predict(data), dtype=float).reshape(len(rows), -1)}


def compare(expected, found, rows):
    """For each output its largest difference, relative to the value where that is above 1, and where it is."""
    import numpy as np

    if "label" in found and "label" not in expected:
        # A booster without classes answers the probability of the second one.
        (wanted,) = expected.values()
        probabilities = np.asarray(found["probabilities"])
        expected = {"value": wanted}
        found = {"probabilities": probabilities if wanted.shape[1] > 1 else probabilities[:, -1:]}
    outputs = []
    for (name, wanted), (graph_name, got) in zip(expected.items(), found.items()):
        got = np.asarray(got)
        if name == "label":
            different = np.flatnonzero(wanted.astype(str) != got.reshape(-1).astype(str))
            outputs.append({"name": graph_name, "different": int(len(different)), "row": int(different[0]) if len(different) else None})
            continue
        wanted, got = wanted.reshape(rows, -1).astype(float), got.reshape(rows, -1).astype(float)
        if wanted.shape != got.shape:
            raise Refused("INVALID_DATA", f"The graph answers {got.shape[1]} values a row where the model answers {wanted.shape[1]}")
        both_missing = np.isnan(wanted) & np.isnan(got)
        difference = np.where(both_missing, 0.0, np.abs(wanted - got) / np.maximum(1.0, np.abs(wanted)))
        worst = np.where(np.isnan(difference), np.inf, difference).max(axis=1)
        row = int(worst.argmax())
        outputs.append({"name": graph_name, "largest": float(worst[row]) if np.isfinite(worst[row]) else "NaN on one side", "mean": float(np.nanmean(difference)), "row": row})
    return outputs


def signature_of(columns, found):
    import numpy as np

    outputs = []
    for name, values in found.items():
        kind = np.asarray(values).dtype.kind
        kinds = {"i": "long", "f": "float", "b": "boolean"}
        shape = list(np.asarray(values).shape[1:])
        outputs.append({"name": name, "type": kinds.get(kind, "string"), **({"shape": shape} if shape else {})})
    inputs = [{"name": name, "type": kind, **({"nullable": True} if not required and kind in ("float", "double") else {})} for name, (kind, required) in columns.items()]
    signature = {"format": "onnx", "payload": "model.onnx", "inputs": inputs, "outputs": outputs}
    probabilities = [output for output in outputs if output["name"].startswith("prob")]
    if probabilities and probabilities[0].get("shape") == [2]:
        signature["score"] = {"output": probabilities[0]["name"], "index": 1}
    return signature


def export(folder, rows_path, out):
    runtime = need("onnxruntime", "Comparing the models")
    model, raw, flavor = load(folder)
    columns = columns_of(model)
    rows = read_rows(rows_path, columns)
    expected = expected_of(model, raw, rows)
    graph = convert(raw, flavor, columns)
    graph.ir_version = min(graph.ir_version, IR_VERSION)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, feeds(session, rows))))
    outputs = compare(expected, found, len(rows))
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "model.onnx"), "wb") as file:
        file.write(graph.SerializeToString(deterministic=True))
    with open(os.path.join(out, "signature.json"), "w") as file:
        json.dump(signature_of(columns, found), file, indent=2)
    return {"flavor": flavor, "rows": len(rows), "outputs": outputs}


def main():
    try:
        told = export(*sys.argv[1:4])
    except Refused as error:
        told = {"error": {"code": error.code, "message": str(error)}}
    except Exception as error:
        import traceback

        traceback.print_exc()
        told = {"error": {"code": "UNSUPPORTED", "message": f"The model could not be exported: {type(error).__name__}: {error}"[:4000]}}
    sys.stdout.write("\nespalier-export\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
