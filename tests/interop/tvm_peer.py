"""What TVM makes of our scripts and traces: reads a list of cases, writes what it printed.

    python tvm_peer.py CASES.json RESULTS.json

A case: name, script (a module as we print it), and where a trace is to be applied, original (the
module before it) and trace (its Python form). A result: printed and applied, or their errors. A case
with a database, a folder of MetaSchedule's, is answered by its records: the program that each trace
gives, and its times.
"""
import json
import sys

from tvm import s_tir
from tvm.script import from_source


def attempt(result, name, action):
    try:
        result[name] = action()
    except Exception as error:  # whatever TVM raises is the answer
        text = str(error)
        result[name + "_error"] = f"{type(error).__name__}: {text[:200]} ... {text[-1500:]}"


def applied(case):
    schedule = s_tir.Schedule(from_source(case["original"]))
    exec(case["trace"], {"sch": schedule})
    return schedule.mod.script()


def records_of(folder):
    from tvm.s_tir import meta_schedule as ms

    records = []
    for record in ms.database.JSONDatabase(work_dir=folder).get_all_tuning_records():
        schedule = s_tir.Schedule(record.workload.mod)
        record.trace.apply_to_schedule(schedule, remove_postproc=False)
        records.append({
            "original": record.workload.mod.script(),
            "scheduled": schedule.mod.script(),
            "seconds": [float(value) for value in record.run_secs],
            "target": str(record.target),
        })
    return records


def main(cases_path, results_path):
    with open(cases_path) as file:
        cases = json.load(file)
    results = []
    for case in cases:
        result = {"name": case["name"]}
        if "database" in case:
            attempt(result, "records", lambda: records_of(case["database"]))
            results.append(result)
            continue
        attempt(result, "printed", lambda: from_source(case["script"]).script())
        if "trace" in case:
            attempt(result, "applied", lambda: applied(case))
        results.append(result)
    with open(results_path, "w") as file:
        json.dump(results, file)


main(*sys.argv[1:])
