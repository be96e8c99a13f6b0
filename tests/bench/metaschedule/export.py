"""Makes the best kernel of MetaSchedule's records into a shared library that
`temper compare --library` calls.

    export.py RECORDS/OPERATOR OUT.so

and prints what --library takes of it, with the shapes as the operator has them.
"""
import json
import pathlib
import sys

import numpy  # noqa: F401  before tvm: both bring a libgomp
import tvm
from tvm import te
from tvm.s_tir import meta_schedule as ms

from tune import OPERATORS


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    run = json.loads((folder / "run.json").read_text())
    function, arguments, _ = OPERATORS[run["operator"]]
    target = tvm.target.Target(json.loads(run["target"]))
    database = ms.database.JSONDatabase(work_dir=str(folder))
    schedule = ms.tir_integration.compile_tir(
        database, te.create_prim_func(function(*arguments)), target)
    if schedule is None:
        sys.exit(f"{folder} has no record of {run['operator']}")
    out.parent.mkdir(parents=True, exist_ok=True)
    tvm.compile(schedule.mod, target=target).export_library(str(out))
    shapes = ",".join("x".join(str(int(dim)) for dim in tensor.shape)
                      for tensor in function(*arguments))
    print(f"MetaSchedule={out}:main({shapes})")


if __name__ == "__main__":
    main()
