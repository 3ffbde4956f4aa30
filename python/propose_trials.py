"""Proposes the next trial of a search with Optuna's TPE sampler.

Reads one JSON object a line from standard input and answers each with one line. A request holds all that is known of its search
and nothing is kept between two of them, so that whoever asks may be another process each time:

    {"seed": 1, "direction": "maximize",
     "search": {"rate": {"log_uniform": [0.001, 0.3]}, "depth": {"integer": [2, 8]}, "kind": {"choice": ["a", "b"]}},
     "told": [{"values": {...}, "state": "succeeded", "metric": 0.7}, {"values": {...}, "state": "running"}]}
    {"values": {"rate": 0.02, "depth": 3, "kind": "a"}}

An answer may also be {"error": {"code": ..., "message": ...}}. The first line, before any request, is {} or such an error.
"""

import json
import sys

try:
    import optuna
except ImportError as error:
    print(json.dumps({"error": {"code": "NOT_INSTALLED", "message": str(error)}}), flush=True)
    sys.exit(0)

from optuna import distributions, samplers, trial

STATES = {
    "running": trial.TrialState.RUNNING,
    "succeeded": trial.TrialState.COMPLETE,
    "failed": trial.TrialState.FAIL,
    "pruned": trial.TrialState.PRUNED,
}


def distribution(span):
    if "choice" in span:
        # By place: True and 1 are one to a dictionary of Python.
        return distributions.CategoricalDistribution(list(range(len(span["choice"]))))
    if "integer" in span:
        return distributions.IntDistribution(*span["integer"])
    if "uniform" in span:
        return distributions.FloatDistribution(*span["uniform"])
    return distributions.FloatDistribution(*span["log_uniform"], log=True)


def inward(span, value):
    if "choice" not in span:
        return value
    return next(place for place, one in enumerate(span["choice"]) if type(one) is type(value) and one == value)


def outward(span, value):
    return span["choice"][value] if "choice" in span else value


def told_trial(spaces, search, one):
    state = STATES[one["state"]]
    metric = one.get("metric")
    return trial.create_trial(
        state=state,
        params={name: inward(search[name], value) for name, value in one["values"].items()},
        distributions=spaces,
        value=metric if state == trial.TrialState.COMPLETE else None,
        intermediate_values={0: metric} if state == trial.TrialState.PRUNED and metric is not None else None,
    )


def propose(request):
    search = dict(sorted(request["search"].items()))
    spaces = {name: distribution(span) for name, span in search.items()}
    told = request["told"]
    # Another draw for each trial, and the same one whenever this trial is asked for.
    seed = (request["seed"] * 1_000_003 + len(told)) % 2**32
    study = optuna.create_study(
        direction=request["direction"], sampler=samplers.TPESampler(seed=seed, constant_liar=True)
    )
    study.add_trials([told_trial(spaces, search, one) for one in told])
    asked = study.ask(fixed_distributions=spaces)
    return {name: outward(search[name], value) for name, value in asked.params.items()}


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("{}", flush=True)
    for line in sys.stdin:
        try:
            answer = {"values": propose(json.loads(line))}
        except Exception as error:  # Whatever Optuna throws at one search must not end the others.
            answer = {"error": {"code": "STEP_FAILED", "message": f"{type(error).__name__}: {error}"}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
