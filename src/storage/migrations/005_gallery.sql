-- Pictures that were made and kept as files. The row with the highest number stays when its picture
-- is deleted (content is then empty), so that no id is used again.
create table gallery (
  number integer primary key,        -- of its id "YYYYMMDD-NUMBER"
  created_unix_ms integer not null,
  model text not null,
  words text not null,               -- what a search looks through, in lower case
  content text not null              -- JSON of protocol::GalleryPicture; empty: deleted
) strict;
