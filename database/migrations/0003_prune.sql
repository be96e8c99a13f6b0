-- Schema 3: rows may go (prune). These are asked for every row that does.

CREATE INDEX candidate_by_skeleton ON candidate (skeleton);
CREATE INDEX skeleton_by_base ON skeleton (base);
