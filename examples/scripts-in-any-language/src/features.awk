# The columns day, hour and late of each flight. Variable: late_minutes.
BEGIN { FS = "," }
NR == 1 {
  for (i = 1; i <= NF; i++) place[$i] = i
  if (!("date" in place) || !("delay" in place)) {
    print "the flights have no date or no delay, only " $0 > "/dev/stderr"
    exit 1
  }
  next
}
{
  date = $place["date"]
  day = substr(date, 1, 10)
  gsub("/", "-", day)
  printf "%s,%d,%d\n", day, substr(date, 12, 2), ($place["delay"] > late_minutes)
}
