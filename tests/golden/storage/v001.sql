-- A database of version 1, with a row in every table. Never edit: it stands for databases out there.
PRAGMA application_id = 1768843116;
PRAGMA user_version = 1;
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
