"""What MLflow's own scoring server answers: reads {"model", "body", "type"} a line, writes {"status", "body"} a line.

The parser, the model and the encoder of `mlflow models serve` without its web server, so that many models are asked in one process.
"""

import json
import sys

import mlflow.pyfunc
from mlflow.pyfunc import scoring_server

models = {}
for line in sys.stdin:
    asked = json.loads(line)
    if asked["model"] not in models:
        models[asked["model"]] = mlflow.pyfunc.load_model(asked["model"])
    model = models[asked["model"]]
    try:
        found = scoring_server.invocations(asked["body"], asked["type"], model, model.metadata.get_input_schema())
        answer = {"status": found.status, "body": json.loads(found.response)}
    except Exception as error:
        answer = {"status": 400, "body": {"message": str(error)}}
    sys.__stdout__.write("\n" + json.dumps({"answer": answer}) + "\n")
    sys.__stdout__.flush()
