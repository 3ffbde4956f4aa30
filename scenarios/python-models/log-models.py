"""Logs models of many kinds with real MLflow into the folder that is named: what the tests of Python models serve."""

import os
import sys
import time

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

root = sys.argv[1]
random = np.random.default_rng(7)
frame = pd.DataFrame(random.normal(size=(400, 4)), columns=["a", "b", "c", "d"])
label = (frame["a"] + frame["b"] > 0).astype(int)


def place(name):
    return os.path.join(root, name)


def requirements():
    return ["scikit-learn", "pandas", "numpy"]


forest = RandomForestClassifier(n_estimators=20, max_depth=4, random_state=1).fit(frame, label)
mlflow.sklearn.save_model(
    forest, place("classifier"), signature=infer_signature(frame, forest.predict(frame)), input_example=frame.head(20), pip_requirements=requirements(), serialization_format="pickle"
)
mlflow.sklearn.save_model(
    forest,
    place("probabilities"),
    pyfunc_predict_fn="predict_proba",
    signature=infer_signature(frame, forest.predict_proba(frame)),
    pip_requirements=requirements(),
    serialization_format="pickle",
)
array = frame.to_numpy()
line = LinearRegression().fit(array, array @ np.array([1.0, 2.0, 3.0, 4.0]))
mlflow.sklearn.save_model(line, place("matrix"), signature=infer_signature(array, line.predict(array)), input_example=array[:5], pip_requirements=requirements(), serialization_format="pickle")
mlflow.sklearn.save_model(RandomForestRegressor(n_estimators=5, random_state=1).fit(frame, frame["a"]), place("unsigned"), pip_requirements=requirements(), serialization_format="pickle")
mlflow.sklearn.save_model(line, place("unsigned-array"), pip_requirements=requirements(), serialization_format="pickle")

flights = pd.DataFrame({"origin": ["JFK", "LAX", "SFO", "JFK"], "miles": [100, 200, 300, 400], "late": [True, False, True, False]})
encoded = make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["origin"]), remainder="passthrough"), LinearRegression())
encoded.fit(flights, [1.0, 2.0, 3.0, 4.0])
mlflow.sklearn.save_model(encoded, place("pipeline"), signature=infer_signature(flights, encoded.predict(flights)), input_example=flights, pip_requirements=requirements(), serialization_format="pickle")


class Report(mlflow.pyfunc.PythonModel):
    """A frame of several columns, one of them text, moved by a parameter; times come as times."""

    def predict(self, context, model_input, params=None):
        shift = (params or {}).get("shift", 0.0)
        print("a line of the model's own")
        return pd.DataFrame(
            {
                "sum": model_input["a"] + model_input["b"] + shift,
                "word": ["high" if value > 0 else "low" for value in model_input["a"]],
                "year": [when.year for when in model_input["when"]],
            }
        )


columns = Schema([ColSpec("double", "a"), ColSpec("double", "b"), ColSpec("datetime", "when")])
params = ParamSchema([ParamSpec("shift", "double", 0.0)])
signature = mlflow.models.ModelSignature(inputs=columns, outputs=None, params=params)
mlflow.pyfunc.save_model(place("report"), python_model=Report(), signature=signature, pip_requirements=["pandas"])


class Lists(mlflow.pyfunc.PythonModel):
    """As many words a row as the row says: no tensor holds that."""

    def predict(self, context, model_input, params=None):
        return [[f"word {one}" for one in range(int(count))] for count in model_input["count"]]


signature = mlflow.models.ModelSignature(inputs=Schema([ColSpec("long", "count")]))
mlflow.pyfunc.save_model(place("lists"), python_model=Lists(), signature=signature, pip_requirements=["pandas"])


class Images(mlflow.pyfunc.PythonModel):
    """Named tensors in, a dictionary of arrays out."""

    def predict(self, context, model_input, params=None):
        image = model_input["image"]
        return {"mean": image.mean(axis=(1, 2)), "corner": image[:, 0, :2] * model_input["weight"][:, None]}


signature = mlflow.models.ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 2, 3), "image"), TensorSpec(np.dtype(np.float64), (-1,), "weight")])
)
mlflow.pyfunc.save_model(place("images"), python_model=Images(), signature=signature, pip_requirements=["pandas"])


class Naughty(mlflow.pyfunc.PythonModel):
    """Does what it is told by the value of its column: models misbehave in these ways."""

    def predict(self, context, model_input, params=None):
        values = list(model_input["what"])
        for value in values:
            if value == -1:
                raise ValueError("not this value")
            if value == -2:
                os._exit(3)
            if value == -3:
                time.sleep(3600)
            if value == -4:
                keep = [np.ones(16 * 1024 * 1024) for _ in range(1000)]
                return [len(keep)]
            if value == -5:
                return [0.0] * (len(values) + 1)
            if value == -6:
                sys.exit("asked to")
            if value == -7:
                return [os.getuid(), os.getpid()][: len(values)]
        return [value * 2 for value in values]


signature = mlflow.models.ModelSignature(inputs=Schema([ColSpec("double", "what")]))
mlflow.pyfunc.save_model(place("naughty"), python_model=Naughty(), signature=signature, pip_requirements=["pandas"])


def unpickled():
    print(f"unpickled in process {os.getpid()}", flush=True)
    return Naughty()


class Trap(Naughty):
    """Its pickle runs code when it is loaded, as any pickle can."""

    def __reduce__(self):
        return unpickled, ()


mlflow.pyfunc.save_model(place("trap"), python_model=Trap(), signature=signature, pip_requirements=["pandas"])


class Unloadable(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        raise RuntimeError("its weights are gone")

    def predict(self, context, model_input, params=None):
        return model_input


mlflow.pyfunc.save_model(place("unloadable"), python_model=Unloadable(), signature=signature, pip_requirements=["pandas"])
