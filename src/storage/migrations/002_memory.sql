-- What workers were measured to take, so that the next prediction is right.
create table memory_measurements (
  key text primary key,              -- model, file, settings and devices in words
  bytes text not null,               -- most that was resident: a number per device, by spaces
  load_us integer not null,          -- from spawn to ready
  unix_ms integer not null           -- when it was measured
) strict, without rowid;
