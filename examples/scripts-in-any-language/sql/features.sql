CREATE TABLE features AS
SELECT
  CAST(date AS DATE) AS day,
  hour(date) AS hour,
  CAST(delay > getvariable('late_minutes') AS INTEGER) AS late
FROM (SELECT delay, strptime(CAST(date AS VARCHAR), ['%Y/%m/%d %H:%M', '%Y-%m-%d %H:%M:%S']) AS date FROM flights)
ORDER BY ALL;

CREATE VIEW train AS SELECT * FROM features WHERE day < CAST(getvariable('test_from') AS DATE);
CREATE VIEW test AS SELECT * FROM features WHERE day >= CAST(getvariable('test_from') AS DATE);
