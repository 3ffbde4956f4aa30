-- Features of each flight from what was known on its day: nothing here looks at the flight's own day or at a later one.
-- Labels arrive `label_delay_days` later, so the rates on day d count the flights of days up to d - label_delay_days.

-- What lies after `as_of` is not even read. Without `as_of` (for the traffic) each day still sees only the days before it.
CREATE TEMP VIEW known AS
SELECT * FROM flights
WHERE date < coalesce(CAST(getvariable('as_of') AS TIMESTAMP), TIMESTAMP '9999-12-31');

-- One row a day and group.
CREATE TEMP TABLE counts AS
SELECT
  CAST(date AS DATE) AS day,
  origin,
  destination,
  hour(date) AS hour,
  count(*) AS flights,
  count(*) FILTER (WHERE delay > getvariable('late_minutes')) AS late
FROM known
GROUP BY ALL
ORDER BY ALL;

CREATE TEMP TABLE days AS
SELECT CAST(unnest(generate_series(min(day), max(day), INTERVAL 1 DAY)) AS DATE) AS day
FROM counts;

-- Integers are summed exactly in any order, which keeps the bytes the same from run to run.
CREATE TEMP TABLE overall_rates AS
SELECT days.day, CAST(sum(late) AS DOUBLE) / sum(flights) AS rate
FROM days
JOIN (SELECT day, sum(late) AS late, sum(flights) AS flights FROM counts GROUP BY day) c
  ON c.day <= days.day - getvariable('label_delay_days')
GROUP BY days.day;

-- A group with few flights is drawn towards the overall rate, as if it had 200 more flights of that rate.
CREATE TEMP MACRO smoothed(late, flights, overall) AS
  CAST((late + 200 * overall) / (flights + 200) AS FLOAT);

CREATE TEMP TABLE origin_rates AS
SELECT days.day, origin, smoothed(sum(late), sum(flights), any_value(overall.rate)) AS rate
FROM days
JOIN (SELECT day, origin, sum(late) AS late, sum(flights) AS flights FROM counts GROUP BY ALL) c
  ON c.day <= days.day - getvariable('label_delay_days')
JOIN overall_rates overall ON overall.day = days.day
GROUP BY days.day, origin;

CREATE TEMP TABLE destination_rates AS
SELECT days.day, destination, smoothed(sum(late), sum(flights), any_value(overall.rate)) AS rate
FROM days
JOIN (SELECT day, destination, sum(late) AS late, sum(flights) AS flights FROM counts GROUP BY ALL) c
  ON c.day <= days.day - getvariable('label_delay_days')
JOIN overall_rates overall ON overall.day = days.day
GROUP BY days.day, destination;

CREATE TEMP TABLE hour_rates AS
SELECT days.day, hour, smoothed(sum(late), sum(flights), any_value(overall.rate)) AS rate
FROM days
JOIN (SELECT day, hour, sum(late) AS late, sum(flights) AS flights FROM counts GROUP BY ALL) c
  ON c.day <= days.day - getvariable('label_delay_days')
JOIN overall_rates overall ON overall.day = days.day
GROUP BY days.day, hour;

CREATE TEMP TABLE weekday_rates AS
SELECT days.day, smoothed(sum(late), sum(flights), any_value(overall.rate)) AS rate
FROM days
JOIN (SELECT day, sum(late) AS late, sum(flights) AS flights FROM counts GROUP BY ALL) c
  ON c.day <= days.day - getvariable('label_delay_days') AND isodow(c.day) = isodow(days.day)
JOIN overall_rates overall ON overall.day = days.day
GROUP BY days.day;

-- Days without any earlier label drop out by the join with overall_rates.
CREATE TEMP VIEW features AS
SELECT
  f.date,
  CAST(f.date AS DATE) AS day,
  f.origin,
  f.destination,
  CAST(hour(f.date) AS FLOAT) AS hour,
  CAST(isodow(f.date) AS FLOAT) AS weekday,
  CAST(f.distance AS FLOAT) AS distance,
  CAST(coalesce(o.rate, overall.rate) AS FLOAT) AS origin_rate,
  CAST(coalesce(d.rate, overall.rate) AS FLOAT) AS destination_rate,
  CAST(coalesce(h.rate, overall.rate) AS FLOAT) AS hour_rate,
  CAST(coalesce(w.rate, overall.rate) AS FLOAT) AS weekday_rate,
  CAST(f.delay > getvariable('late_minutes') AS INTEGER) AS late
FROM known f
JOIN overall_rates overall ON overall.day = CAST(f.date AS DATE)
LEFT JOIN origin_rates o ON o.day = CAST(f.date AS DATE) AND o.origin = f.origin
LEFT JOIN destination_rates d ON d.day = CAST(f.date AS DATE) AND d.destination = f.destination
LEFT JOIN hour_rates h ON h.day = CAST(f.date AS DATE) AND h.hour = hour(f.date)
LEFT JOIN weekday_rates w ON w.day = CAST(f.date AS DATE);

-- Everything else of a row follows from the columns that the tables below are ordered by, so equal ones are equal rows: the same bytes always.

-- The first day that is not used: its labels are not there yet.
CREATE TEMP MACRO known_until() AS
  CAST(getvariable('as_of') AS DATE) - CAST(getvariable('label_delay_days') AS INTEGER);

CREATE TEMP VIEW test AS
SELECT * FROM features
WHERE day >= known_until() - getvariable('test_days') AND day < known_until()
ORDER BY date, origin, destination, distance, late;

-- break_feature reads the hour of the training rows off a 12-hour clock, so that six in the evening is taken for six in the morning.
-- The test rows stay sound, as served rows would: a skew between training and serving, and the gate can see it.
CREATE TEMP MACRO training_hour(hour) AS
  CAST(CASE WHEN getvariable('break_feature') THEN hour % 12 ELSE hour END AS FLOAT);

CREATE TEMP VIEW train AS
SELECT features.* REPLACE (training_hour(features.hour) AS hour, coalesce(wrong.rate, hour_rate) AS hour_rate)
FROM features
LEFT JOIN hour_rates wrong
  ON getvariable('break_feature') AND wrong.day = features.day AND wrong.hour = training_hour(features.hour)
WHERE features.day >= known_until() - getvariable('test_days') - getvariable('train_days')
  AND features.day < known_until() - getvariable('test_days')
ORDER BY date, origin, destination, distance, late;

CREATE TEMP VIEW traffic AS
SELECT * FROM features
WHERE day >= CAST(getvariable('traffic_from') AS DATE) AND day < CAST(getvariable('traffic_until') AS DATE)
ORDER BY date, origin, destination, distance, late;
