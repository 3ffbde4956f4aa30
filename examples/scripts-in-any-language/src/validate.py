"""usage: validate.py FLIGHTS.json DATA.csv QUARANTINE.csv REPORT.json

The rules of rules/flights.yaml by hand: rows that break one are set aside with its name, and the run goes on.
"""

import csv
import json
import os
import sys

COLUMNS = ["date", "delay", "distance", "origin", "destination"]
RULES = {
    "no flight leaves an hour early or a day late": lambda row: -60 <= row["delay"] <= 1440,
    "no such distance": lambda row: 1 <= row["distance"] <= 5500,
    "ends where it began": lambda row: row["origin"] != row["destination"],
}

flights_path, data_path, quarantine_path, report_path = sys.argv[1:]
with open(flights_path, encoding="utf-8") as file:
    flights = json.load(file)
missing = sum(row.get("date") is None for row in flights)
if missing > 0:
    sys.exit(f"{missing} of {len(flights)} flights have no date")

broken = {name: 0 for name in RULES}
quarantined = 0
with open(data_path, "w", newline="") as data, open(quarantine_path, "w", newline="") as quarantine:
    kept = csv.DictWriter(data, COLUMNS, lineterminator="\n")
    aside = csv.DictWriter(quarantine, [*COLUMNS, "_rule"], lineterminator="\n")
    kept.writeheader()
    aside.writeheader()
    for row in flights:
        names = [name for name, holds in RULES.items() if not holds(row)]
        for name in names:
            broken[name] += 1
        if names:
            quarantined += 1
            aside.writerow({**row, "_rule": "; ".join(names)})
        else:
            kept.writerow(row)

report = {
    "rows": len(flights),
    "quarantined": quarantined,
    "results": [{"rule": name, "failed": count} for name, count in broken.items()],
}
with open(report_path, "w") as file:
    json.dump(report, file)
with open(os.environ["ESPALIER_EVENTS"], "a") as events:
    for key, value in [("rows", len(flights)), ("rows.quarantined", quarantined)]:
        events.write(json.dumps({"type": "metric", "key": key, "value": value}) + "\n")
