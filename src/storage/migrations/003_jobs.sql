-- Jobs, as they stand or stood: the history, and what tells after a crash which ones were under way.
create table jobs (
  number integer primary key,        -- of its id "job-NUMBER"; rises, and is never used again
  kind text not null,
  model text not null,
  state text not null,
  created_unix_ms integer not null,
  ended_unix_ms integer,             -- null: it has not ended
  content text not null              -- JSON of the whole job (protocol::JobInfo)
) strict;

-- How long the stages of completed jobs took, so that the time left of the next one can be told.
create table job_timings (
  id integer primary key,
  work text not null,                -- kind of the job, and what makes it longer or shorter
  model text not null,
  size_bytes integer not null,       -- of the model's files: another file may have the same name
  stage text not null,
  position integer not null,         -- of the stage in its job, from 0
  duration_ms integer not null
) strict;
create index job_timings_of on job_timings (work, model, size_bytes, stage);
