-- Schema 4: what compiler and kernel wrote during a trial, which the sentence in `error` only hints at.

ALTER TABLE measurement ADD COLUMN log TEXT NOT NULL DEFAULT '';
