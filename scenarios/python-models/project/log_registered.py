"""What a data scientist's notebook does: logs and registers a model of their own code at the control plane, by MLflow's client."""

import sys

import mlflow
import pandas as pd
from mlflow.models import infer_signature


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"twice": model_input["x"] * 2, "word": ["big" if x > 1 else "small" for x in model_input["x"]]})


mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("notebook")
rows = pd.DataFrame({"x": [1.0, 2.0]})
with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model",
        python_model=Doubler(),
        signature=infer_signature(rows, Doubler().predict(None, rows)),
        input_example=rows,
        pip_requirements=["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas==3.1.1"],
        registered_model_name="doubler",
    )
