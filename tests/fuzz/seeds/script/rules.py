def tile_rule(sch, block, machine):
    seen = sch.get(block)
    if len(seen.reads) == 0 or "done" in seen.annotations:
        return
    if [axis.iter_type for axis in seen.iter_vars][0] != 0 or seen.reads[0].buffer.shape[0] == 1:
        return
    other = sch.copy()
    loops = other.get_loops(block)
    if other.can("split", loops[0], [None, machine["threads"]]):
        outer, inner = other.split(loops[0], other.sample_perfect_tile(loops[0], n=2))
        other.annotate(block, "done", len(machine["features"]))
    return [sch, other]


def mark_postproc(sch):
    sch.annotate(sch.get_sblock("root"), "marked", 1)


def swap_mutator(decision, weight=0.5):
    if decision["kind"] == "tile":
        return [decision["value"][1:] + decision["value"][:1]]


def rows(sch, block):
    sch.parallel(sch.get_loops(block)[0])
