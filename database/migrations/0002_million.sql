-- Schema 2: a million measurements. Each index ends a walk that touched every row of a run, a
-- series or the table; README.md has the figures.

-- The best of a run, and what a run touched, without its rows.
CREATE INDEX measurement_by_run_series ON measurement (run, series, outcome, median_ns);

-- Whether a run confirmed its finalists after a trial: asked for every candidate near the best.
CREATE INDEX measurement_confirmed ON measurement (run, sequence)
  WHERE purpose = 'confirm' AND outcome = 'ok';

-- The newest failures of a kind, which may be a few among a million.
CREATE INDEX measurement_by_outcome ON measurement (outcome, measured_at);
