-- Lines of text become orders, and nothing is dropped: each record is loaded, merged
-- into an equal one, or rejected with its place and a reason.
-- In: raw(file, line, bytes), a row for each line of each file, as it stands there.
-- Unlike the book's program it trims blanks only, rejects a doubled quote inside a
-- field, says "not UTF-8" before it counts fields, and does not look at the header.

WITH
-- ANCHOR: records
-- A record goes on over the end of a line while a quote is open. Quotes are counted
-- in the bytes (22 in hexadecimal), since not every line is UTF-8.
lines AS (
  SELECT file, line, try_cast(bytes AS VARCHAR) AS text,
    length(regexp_replace(encode(bytes, 'hex'), '(22)|..', '\1', 'g')) / 2 AS quotes
  FROM raw
),
open AS (
  SELECT *, coalesce(sum(quotes) OVER (PARTITION BY file ORDER BY line
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) % 2 = 1 AS inside
  FROM lines
),
begun AS (
  SELECT *, max(CASE WHEN NOT inside THEN line END)
    OVER (PARTITION BY file ORDER BY line) AS first_line
  FROM open
),
records AS (
  SELECT file, first_line AS line, sum(quotes) AS quotes,
    rtrim(string_agg(text, chr(10) ORDER BY line), chr(13)) AS text,
    count(*) > count(text) AS not_utf8
  FROM begun
  WHERE first_line > 1 -- the header
  GROUP BY file, first_line
),
-- ANCHOR_END: records
-- ANCHOR: fields
counted AS (
  SELECT *, regexp_count(regexp_replace(text, '"[^"]*"', '', 'g'), ',') + 1 AS width,
    regexp_match(text, '^' || repeat('("[^"]*"|[^",]*),', 4) || '("[^"]*"|[^",]*)$')
      AS f
  FROM records
  WHERE text <> '' OR not_utf8 -- a blank line is no record
),
fields AS (
  SELECT file, line, quotes, not_utf8, width,
    trim(replace(f[1], '"', '')) AS id,
    trim(replace(f[2], '"', '')) AS day,
    trim(replace(f[3], '"', '')) AS customer,
    regexp_replace(trim(replace(f[4], '"', '')), '^(€|EUR) *', '') AS amount,
    nullif(trim(replace(f[5], '"', '')), '') AS note
  FROM counted
),
-- ANCHOR_END: fields
-- ANCHOR: rules
judged AS (
  SELECT *, CASE
      WHEN quotes % 2 = 1 THEN 'quote never closed'
      WHEN not_utf8 THEN 'not UTF-8'
      WHEN width <> 5 THEN width || ' fields, not 5'
      WHEN id IS NULL THEN 'quote inside a field'
      WHEN id = '' THEN 'order_id is empty'
      WHEN day = '' THEN 'date is empty'
      WHEN customer = '' THEN 'customer is empty'
      WHEN amount = '' THEN 'amount is empty'
      WHEN try_cast(id AS INT UNSIGNED) IS NULL THEN 'order_id is no number'
      WHEN day !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN 'date is not YYYY-MM-DD'
      WHEN try_cast(day AS DATE) IS NULL THEN 'no such day'
      WHEN amount !~ '^[0-9]{1,16}([.,][0-9]+)?$' THEN 'no amount in euros'
      WHEN amount ~ '[.,]' AND amount !~ '[.,][0-9]{2}$' THEN 'decimals must be two'
    END AS fault
  FROM fields
),
-- ANCHOR_END: rules
typed AS (
  SELECT file, line, fault, fault IS NULL AS valid, day, customer, note,
    try_cast(id AS INT UNSIGNED) AS id,
    CASE WHEN fault IS NULL THEN cast(regexp_replace(
      amount || CASE WHEN amount ~ '[.,]' THEN '' ELSE '00' END, '[.,]', '')
      AS BIGINT) END AS cents
  FROM judged
),
-- ANCHOR: repeats
-- The same order twice is one order; two versions of one order are a question.
whole AS (
  SELECT *, named_struct('d', day, 'c', customer, 'a', cents, 'n', note) AS content
  FROM typed
),
compared AS (
  SELECT *, row_number() OVER same AS nth, first_value(line) OVER same AS first_line,
    nullif(first_value(file) OVER same, file) AS other_file,
    content = first_value(content) OVER same AS equal
  FROM whole
  WINDOW same AS (PARTITION BY id, valid ORDER BY file, line)
)
SELECT file, line,
  CASE WHEN valid AND nth = 1 THEN 'loaded' WHEN valid AND equal THEN 'merged'
    ELSE 'rejected' END AS outcome,
  CASE WHEN NOT valid THEN fault WHEN nth = 1 THEN NULL
    ELSE concat(CASE WHEN equal THEN 'same as ' ELSE 'contradicts ' END,
      other_file || ', ', 'line ', first_line) END AS reason,
  id, day, customer, cents, note
FROM compared
-- ANCHOR_END: repeats
