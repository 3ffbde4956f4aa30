"""usage: gate.py CANDIDATE TEST.csv POLICY.json MODEL VERDICT.json

A gate of one's own: the candidate's AUC must beat the constant prediction's 0.5 by what the policy asks for, at the lower end of an interval
that resamples whole days. A candidate that does not is refused: exit code 1, and no model.
"""

import csv
import json
import os
import random
import shutil
import sys


def main(candidate, test_path, policy_path, model_path, verdict_path):
    with open(policy_path) as file:
        policy = json.load(file)
    with open(os.path.join(candidate, "rates.csv"), newline="") as file:
        rates = {row["hour"]: float(row["rate"]) for row in csv.DictReader(file)}
    days = {}
    with open(test_path, newline="") as file:
        for row in csv.DictReader(file):
            counts = days.setdefault(row["day"], {})
            count = counts.setdefault(rates[row["hour"]], [0, 0])
            count[int(row["late"])] += 1

    names = sorted(days)
    chance = random.Random(policy["seed"])
    value = auc([days[name] for name in names])
    draws = sorted(auc([days[name] for name in chance.choices(names, k=len(names))]) for _ in range(policy["resamples"]))
    lower, upper = draws[int(0.025 * len(draws))], draws[int(0.975 * len(draws))]
    needed = 0.5 + policy["no_champion"]["by"]
    allowed = lower > needed
    sentence = f"auc {value:.4f}, interval {lower:.4f} to {upper:.4f} over {len(names)} days; needed: {needed}"
    print(f"gate: {'passed' if allowed else 'refused'}: {sentence}")
    with open(os.environ["ESPALIER_EVENTS"], "a") as events:
        events.write(json.dumps({"type": "tag", "key": "gate.outcome", "value": "passed" if allowed else "refused"}) + "\n")
        events.write(json.dumps({"type": "tag", "key": "gate.reason", "value": sentence}) + "\n")
    if not allowed:
        sys.exit(1)
    shutil.copytree(candidate, model_path)
    with open(verdict_path, "w") as file:
        json.dump({"allowed": allowed, "auc": value, "lower": lower, "upper": upper}, file)


def auc(days):
    """By counts of each score: [punctual, late]."""
    counts = {}
    for day in days:
        for score, (punctual, late) in day.items():
            count = counts.setdefault(score, [0, 0])
            count[0] += punctual
            count[1] += late
    below = wins = positives = 0
    for score in sorted(counts):
        punctual, late = counts[score]
        wins += late * (below + punctual / 2)
        below += punctual
        positives += late
    return wins / (positives * below)


main(*sys.argv[1:])
