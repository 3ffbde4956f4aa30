"""Trains a scikit-learn model and leaves it as MLflow saves it: the model as logged is what is served."""

import json
import os
import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

params = json.loads(os.environ["ESPALIER_PARAMS"])
rows = pd.DataFrame(np.random.default_rng(1).normal(size=(50, 2)), columns=["x", "y"])
model = LinearRegression().fit(rows, rows["x"] + 2 * rows["y"] + float(params["bias"]))
pinned = ["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1"]
wanted = [*pinned, *([params["requirement"]] if params["requirement"] else [])]
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    signature=infer_signature(rows, model.predict(rows)),
    input_example=rows.head(3),
    pip_requirements=wanted,
    serialization_format="cloudpickle",
)
