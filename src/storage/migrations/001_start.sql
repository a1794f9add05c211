-- API keys: only hashes.
create table api_keys (
  id integer primary key,
  name text not null unique,
  hash blob not null,                -- SHA-256 of the key, 32 bytes
  prefix text not null,              -- first characters of the key, to recognise it
  created_unix_ms integer not null
) strict;

-- What the catalogue read from each model file, so that an unchanged file is not read again.
create table model_files (
  path blob primary key,             -- as the file system has it: any bytes
  size_bytes integer not null,
  modified_ns integer not null,      -- since the epoch
  inode integer not null,            -- unsigned, kept in the same 64 bits
  device integer not null,           -- the same
  model_id text not null,            -- name given to the model; empty: none, or not its first file
  content text not null              -- JSON of what was read (catalog/reading.h)
) strict, without rowid;

-- What the daemon remembers from one run to the next, such as the last used model.
create table settings (
  name text primary key,
  value text not null
) strict, without rowid;
