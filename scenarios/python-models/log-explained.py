"""Logs models that can be explained in different ways, with real MLflow, into the folder that is named."""

import os
import sys

import lightgbm
import mlflow.lightgbm
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

root = sys.argv[1]
random = np.random.default_rng(3)
frame = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "c"])
target = 2 * frame["a"] - frame["b"] + 0.1 * frame["c"] ** 2
label = (target > 0).astype(int)
kept = {"signature": infer_signature(frame, np.array(target)), "input_example": frame.head(50)}


def place(name):
    return os.path.join(root, name)


trees = xgboost.XGBRegressor(n_estimators=20, max_depth=3).fit(frame, target)
mlflow.xgboost.save_model(trees, place("xgboost"), pip_requirements=["xgboost"], **kept)
boosted = lightgbm.LGBMRegressor(n_estimators=20, max_depth=3, verbose=-1).fit(frame, target)
mlflow.lightgbm.save_model(boosted, place("lightgbm"), pip_requirements=["lightgbm"], serialization_format="cloudpickle", **kept)
pickled = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
mlflow.sklearn.save_model(LinearRegression().fit(frame, target), place("linear"), **pickled, **kept)
forest = RandomForestClassifier(n_estimators=10, max_depth=4, random_state=1).fit(frame, label)
mlflow.sklearn.save_model(forest, place("forest"), pyfunc_predict_fn="predict_proba", signature=infer_signature(frame, forest.predict_proba(frame)), **pickled)

flights = pd.DataFrame({"origin": ["JFK", "LAX", "SFO", "JFK"] * 10, "miles": np.arange(40.0)})
pipeline = make_pipeline(make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough"), LinearRegression())
pipeline.fit(flights, np.arange(40.0) * 2 + (flights["origin"] == "JFK") * 100)
mlflow.sklearn.save_model(pipeline, place("pipeline"), signature=infer_signature(flights, pipeline.predict(flights)), input_example=flights, **pickled)
mlflow.sklearn.save_model(pipeline, place("no-example"), signature=infer_signature(flights, pipeline.predict(flights)), **pickled)
