-- A database of version 5, with a row in every table. Never edit: it stands for databases out there.
PRAGMA application_id = 1768843116;
PRAGMA user_version = 5;
CREATE TABLE api_keys (
  id integer primary key,
  name text not null unique,
  hash blob not null,                -- SHA-256 of the key, 32 bytes
  prefix text not null,              -- first characters of the key, to recognise it
  created_unix_ms integer not null
) strict;
INSERT INTO api_keys VALUES(3,'laptop',
  X'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad','ingle-wxyz',1760000000000);
CREATE TABLE model_files (
  path blob primary key,             -- as the file system has it: any bytes
  size_bytes integer not null,
  modified_ns integer not null,      -- since the epoch
  inode integer not null,            -- unsigned, kept in the same 64 bits
  device integer not null,           -- the same
  model_id text not null,            -- name given to the model; empty: none, or not its first file
  content text not null              -- JSON of what was read (catalog/reading.h)
) strict, without rowid;
INSERT INTO model_files VALUES(X'2f6d2ff62e67677566',4096,1760000000123456789,-2,7,'tiny','{"version":1}');
CREATE TABLE settings (
  name text primary key,
  value text not null
) strict, without rowid;
INSERT INTO settings VALUES('last_model','tiny');
CREATE TABLE memory_measurements (
  key text primary key,              -- model, file, settings and devices in words
  bytes text not null,               -- most that was resident: a number per device, by spaces
  load_us integer not null,          -- from spawn to ready
  unix_ms integer not null           -- when it was measured
) strict, without rowid;
INSERT INTO memory_measurements VALUES('tiny parallel=4','123456789 5',750000,1760000000001);
CREATE TABLE jobs (
  number integer primary key,        -- of its id "job-NUMBER"; rises, and is never used again
  kind text not null,
  model text not null,
  state text not null,
  created_unix_ms integer not null,
  ended_unix_ms integer,             -- null: it has not ended
  content text not null              -- JSON of the whole job (protocol::JobInfo)
) strict;
INSERT INTO jobs VALUES(12,'load','tiny','completed',1760000000002,1760000000003,'{"id":"job-12"}');
CREATE TABLE job_timings (
  id integer primary key,
  work text not null,                -- kind of the job, and what makes it longer or shorter
  model text not null,
  size_bytes integer not null,       -- of the model's files: another file may have the same name
  stage text not null,
  position integer not null,         -- of the stage in its job, from 0
  duration_ms integer not null
) strict;
CREATE INDEX job_timings_of on job_timings (work, model, size_bytes, stage);
INSERT INTO job_timings VALUES(4,'load','tiny',4096,'loading',0,750);
CREATE TABLE model_settings (
  model text primary key,
  size_bytes integer not null,       -- of the files that it was found for
  modified_unix_ms integer not null, -- the same
  settings text not null,            -- JSON: a list of "name=value"
  evidence text not null,            -- JSON of protocol::CalibrationResult
  unix_ms integer not null           -- when they were kept
) strict;
INSERT INTO model_settings VALUES('tiny',4096,1760000000000,'["threads=2"]','{"verdict":"faster"}',1760000000004);
CREATE TABLE gallery (
  number integer primary key,        -- of its id "YYYYMMDD-NUMBER"
  created_unix_ms integer not null,
  model text not null,
  words text not null,               -- what a search looks through, in lower case
  content text not null              -- JSON of protocol::GalleryPicture; empty: deleted
) strict;
INSERT INTO gallery VALUES(7,1760000000005,'tiny','a hearth','{"id":"20251009-7"}');
