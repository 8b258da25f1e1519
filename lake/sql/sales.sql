-- ANCHOR: sales
CREATE EXTERNAL TABLE events(
  at TIMESTAMP(3), user BIGINT, agent VARCHAR, day VARCHAR,
  cents BIGINT,        -- until 7 January
  amount_cents BIGINT, -- since 8 January
  gift BOOLEAN         -- since 8 January
) STORED AS PARQUET PARTITIONED BY (day) LOCATION 's3://lake/events/';

CREATE VIEW sales AS
  SELECT day, at, user, coalesce(cents, amount_cents) AS cents, gift FROM events;
-- ANCHOR_END: sales
