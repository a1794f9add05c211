-- Settings that were found best for a model on this machine (calibrated), with what showed it.
create table model_settings (
  model text primary key,
  size_bytes integer not null,       -- of the files that it was found for
  modified_unix_ms integer not null, -- the same
  settings text not null,            -- JSON: a list of "name=value"
  evidence text not null,            -- JSON of protocol::CalibrationResult
  unix_ms integer not null           -- when they were kept
) strict;
