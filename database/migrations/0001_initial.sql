-- Schema 1. README.md explains it. The SQL is the subset that PostgreSQL shares, with BLOB for
-- BYTEA and 64-bit integers. Never edited once released: add 0002_….sql.
-- Ids are text, a letter and 16 hexadecimal digits; `n` numbers rows where a short key pays.

CREATE TABLE workload (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  layer TEXT NOT NULL,
  function TEXT NOT NULL,
  structural_hash INTEGER NOT NULL,
  binding TEXT NOT NULL,            -- JSON object, sorted keys
  parameters TEXT NOT NULL,
  flops REAL,
  bytes REAL,
  unchecked INTEGER NOT NULL,
  source_path TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  program TEXT NOT NULL
);

-- The same program may be known by several names; the first one is in `workload`.
CREATE TABLE workload_name (
  name TEXT NOT NULL,
  workload TEXT NOT NULL REFERENCES workload (id),
  PRIMARY KEY (name, workload)
);

CREATE TABLE space (
  id TEXT NOT NULL PRIMARY KEY,
  workload TEXT NOT NULL REFERENCES workload (id),
  maker TEXT NOT NULL,
  hash INTEGER NOT NULL,
  json TEXT NOT NULL
);

CREATE TABLE environment (
  id TEXT NOT NULL PRIMARY KEY,
  fingerprint INTEGER NOT NULL,
  class_name TEXT NOT NULL,
  host TEXT NOT NULL,
  json TEXT NOT NULL
);

CREATE TABLE toolchain (
  id TEXT NOT NULL PRIMARY KEY,
  json TEXT NOT NULL
);

CREATE TABLE run (
  id TEXT NOT NULL PRIMARY KEY,
  workload TEXT NOT NULL REFERENCES workload (id),
  target TEXT NOT NULL,
  environment TEXT NOT NULL REFERENCES environment (id),
  toolchain TEXT NOT NULL REFERENCES toolchain (id),
  space TEXT NOT NULL,
  strategy TEXT NOT NULL,
  seed INTEGER NOT NULL,
  budget_trials INTEGER NOT NULL,
  budget_seconds REAL NOT NULL,
  parent_run TEXT NOT NULL,
  parent_record TEXT NOT NULL,
  command_line TEXT NOT NULL,
  options TEXT NOT NULL,
  started_at INTEGER NOT NULL
);
CREATE INDEX run_by_workload ON run (workload, started_at);
CREATE INDEX run_by_start ON run (started_at);

-- What changes while a run goes on, beside it, so that the row rewritten with each outcome is short.
CREATE TABLE run_progress (
  run TEXT NOT NULL PRIMARY KEY REFERENCES run (id),
  state TEXT NOT NULL,
  requested TEXT NOT NULL,
  stopped_because TEXT NOT NULL,
  ended_at INTEGER NOT NULL,
  random_state INTEGER NOT NULL,
  trials INTEGER NOT NULL,
  seconds REAL NOT NULL,
  funnel TEXT NOT NULL,
  strategy_state TEXT NOT NULL,
  claim INTEGER NOT NULL,           -- token of the owner's claim; 0: nobody
  owner_host TEXT NOT NULL,
  owner_domain TEXT NOT NULL,
  owner_pid INTEGER NOT NULL,
  owner_start INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

-- The instructions of traces, which most candidates of a space share, compressed against a similar
-- one of the workload (a base: its own base is NULL). detail/text_codec.h has the format.
CREATE TABLE skeleton (
  n INTEGER PRIMARY KEY,
  workload TEXT NOT NULL REFERENCES workload (id),
  hash INTEGER NOT NULL,
  base INTEGER REFERENCES skeleton (n),
  encoded BLOB NOT NULL
);
CREATE UNIQUE INDEX skeleton_by_hash ON skeleton (workload, hash);

CREATE TABLE candidate (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  workload TEXT NOT NULL REFERENCES workload (id),
  kind TEXT NOT NULL,
  parent TEXT NOT NULL,
  origin TEXT NOT NULL,
  skeleton INTEGER REFERENCES skeleton (n), -- NULL: the program is all in `decisions`
  decisions TEXT NOT NULL
);
CREATE UNIQUE INDEX candidate_by_id ON candidate (id);

-- Everything two measurements must share to be compared: the key of `best`.
CREATE TABLE series (
  n INTEGER PRIMARY KEY,
  workload TEXT NOT NULL REFERENCES workload (id),
  target TEXT NOT NULL,
  threads INTEGER NOT NULL,
  environment_class TEXT NOT NULL,
  toolchain TEXT NOT NULL REFERENCES toolchain (id),
  regime TEXT NOT NULL,
  inputs TEXT NOT NULL
);
CREATE UNIQUE INDEX series_by_key
  ON series (workload, target, threads, environment_class, toolchain, regime, inputs);

CREATE TABLE measurement (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  series INTEGER NOT NULL REFERENCES series (n),
  run TEXT NOT NULL REFERENCES run (id),
  candidate INTEGER NOT NULL REFERENCES candidate (n),
  sequence INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  purpose TEXT NOT NULL,
  median_ns REAL,
  low_ns REAL,
  high_ns REAL,
  unchecked INTEGER NOT NULL,
  measured_at INTEGER NOT NULL,
  environment TEXT NOT NULL REFERENCES environment (id),
  stage TEXT NOT NULL,
  gaps_dropped INTEGER NOT NULL,
  compile_ms REAL,
  measure_ms REAL,
  code_hash INTEGER NOT NULL,
  origin TEXT NOT NULL,
  predicted_score REAL,
  anchor_drift REAL,
  error TEXT NOT NULL,
  worst TEXT NOT NULL,
  timing TEXT NOT NULL,
  facts TEXT NOT NULL,
  counters TEXT NOT NULL,
  samples BLOB                      -- float32, little-endian, nanoseconds
);
CREATE UNIQUE INDEX measurement_by_id ON measurement (id);
CREATE INDEX measurement_by_run ON measurement (run, sequence);
CREATE INDEX measurement_by_series ON measurement (series, outcome, median_ns);
CREATE INDEX measurement_by_candidate ON measurement (candidate);
CREATE INDEX measurement_by_time ON measurement (measured_at);

CREATE TABLE artifact (
  id TEXT NOT NULL PRIMARY KEY,
  candidate TEXT NOT NULL REFERENCES candidate (id),
  toolchain TEXT NOT NULL REFERENCES toolchain (id),
  target TEXT NOT NULL,
  code_hash INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  json TEXT NOT NULL,
  object BLOB,
  code BLOB
);
CREATE INDEX artifact_by_candidate ON artifact (candidate, toolchain, target);

CREATE TABLE model (
  id TEXT NOT NULL PRIMARY KEY,
  run TEXT NOT NULL REFERENCES run (id),
  kind TEXT NOT NULL,
  trials_seen INTEGER NOT NULL,
  features TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  blob BLOB
);
CREATE INDEX model_by_run ON model (run, created_at);

CREATE TABLE model_quality (
  run TEXT NOT NULL REFERENCES run (id),
  batch INTEGER NOT NULL,
  trials_seen INTEGER NOT NULL,
  rank_correlation REAL,
  top_recall REAL,
  top_k INTEGER NOT NULL,
  json TEXT NOT NULL,
  measured_at INTEGER NOT NULL,
  PRIMARY KEY (run, batch)
);

CREATE TABLE event (
  run TEXT NOT NULL REFERENCES run (id),
  sequence INTEGER NOT NULL,
  kind TEXT NOT NULL,
  json TEXT NOT NULL,
  happened_at INTEGER NOT NULL,
  PRIMARY KEY (run, sequence)
);

-- Notes and tags may be on any row, also on one that comes with a later import.
CREATE TABLE note (
  id TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  author TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX note_by_subject ON note (subject);

CREATE TABLE tag (
  subject TEXT NOT NULL,
  tag TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (subject, tag)
);
CREATE INDEX tag_by_tag ON tag (tag);
