"""Lets mlflow.pyfunc predict with an ONNX graph of Espalier's: columns by name, any number of outputs, also of several values a row.

Part of the MLmodel folder that the control plane renders for a model without one; needs onnxruntime, numpy and pandas.
"""

import numpy as np
import onnxruntime
import pandas as pd

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.str_,
}


class OnnxModel:
    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]

    def predict(self, data, params=None):
        """A frame gives a frame with a column an output (several values a row are a list each); tensors give tensors by name."""
        inputs = self.session.get_inputs()
        if isinstance(data, pd.DataFrame):
            if len(inputs) == 1 and inputs[0].name not in data.columns:
                feeds = {inputs[0].name: cast(data.to_numpy(), inputs[0])}
            else:
                feeds = {one.name: column(data[one.name], one) for one in inputs}
        elif isinstance(data, dict):
            feeds = {one.name: cast(np.asarray(data[one.name]), one) for one in inputs}
        else:
            feeds = {inputs[0].name: cast(np.asarray(data), inputs[0])}
        values = dict(zip(self.outputs, self.session.run(self.outputs, feeds)))
        if not isinstance(data, pd.DataFrame):
            return values
        return pd.DataFrame({name: rows(value, len(data)) for name, value in values.items()}, index=data.index)


def cast(values, graph_input):
    return values.astype(TYPES.get(graph_input.type, values.dtype), copy=False)


def column(series, graph_input):
    """A graph asks for [rows] or for [rows, 1]."""
    values = cast(series.to_numpy(), graph_input)
    return values.reshape(-1, 1) if len(graph_input.shape) == 2 else values


def rows(value, count):
    values = np.asarray(value)
    return values.reshape(count) if values.size == count else list(values.reshape(count, -1).tolist())


def _load_pyfunc(path):
    return OnnxModel(path)
