"""A scikit-learn model as MLflow saves it, and rows that it is judged on and predicts: the fare leans on distance and city, never on noise."""

import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

random = np.random.default_rng(7)
rows = pd.DataFrame(
    {
        "distance": random.uniform(0, 10, 3000),
        "city": random.choice(["north", "south"], 3000),
        "noise": random.uniform(0, 1, 3000),
    }
)
fare = 3 * rows["distance"] + 10 * (rows["city"] == "north")
encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
model = make_pipeline(encoder, LinearRegression()).fit(rows, fare)
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    signature=infer_signature(rows, model.predict(rows)),
    pip_requirements=["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1"],
    serialization_format="cloudpickle",
)
rows.assign(fare=fare, ride=np.arange(len(rows))).to_csv(sys.argv[2], index=False)
