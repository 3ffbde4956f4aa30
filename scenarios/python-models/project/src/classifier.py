"""A classifier as MLflow saves it, and the rows that it is judged on."""

import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

random = np.random.default_rng(5)
rows = pd.DataFrame({"origin": random.choice(["JFK", "LAX", "SFO"], 200), "miles": random.uniform(0, 1, 200)})
label = ((rows["origin"] == "JFK") & (rows["miles"] > 0.3)).astype(int)
encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["origin"]), remainder="passthrough")
model = make_pipeline(encoder, LogisticRegression()).fit(rows, label)
mlflow.sklearn.save_model(
    model, sys.argv[1], signature=infer_signature(rows, model.predict(rows)), pip_requirements=["scikit-learn"], serialization_format="cloudpickle"
)
rows.to_csv(sys.argv[2], index=False)
