# usage: awk -F, -f evaluate.awk RATES.csv TEST.csv
# Metrics of the model on the test rows, as JSON. All flights of an hour have one score, so counts by hour are enough.
FNR == 1 { file++; next }
file == 1 { rate[$1] = $2; next }
{ if ($3 == 1) late[$2]++; else punctual[$2]++ }
END {
  for (hour in rate) {
    p = rate[hour]
    positives += late[hour]
    negatives += punctual[hour]
    log_loss -= late[hour] * log(p) + punctual[hour] * log(1 - p)
    brier += late[hour] * (1 - p) ^ 2 + punctual[hour] * p ^ 2
    right += (p >= 0.5) ? late[hour] : punctual[hour]
  }
  rows = positives + negatives
  # A late flight wins against a punctual one with a lower score; equal scores count half.
  for (hour in rate) {
    for (other in rate) {
      if (rate[other] < rate[hour]) wins += late[hour] * punctual[other]
      else if (rate[other] == rate[hour]) wins += late[hour] * punctual[other] / 2
    }
  }
  if (positives == 0 || negatives == 0) {
    print "the test rows are all of one class" > "/dev/stderr"
    exit 1
  }
  printf "{\"rows\":%d,\"metrics\":{\"auc\":%.15g,\"log_loss\":%.15g,\"brier\":%.15g,\"accuracy\":%.15g,\"base_rate\":%.15g}}\n", \
    rows, wins / (positives * negatives), log_loss / rows, brier / rows, right / rows, positives / rows
}
