-- A database of version 2, with a row in every table. Never edit: it stands for databases out there.
PRAGMA application_id = 1768843116;
PRAGMA user_version = 2;
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
