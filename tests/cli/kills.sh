#!/usr/bin/env bash
# Kills processes of a batch at random with SIGKILL, the batch itself, compilers, the runner and its
# children, and runs it again whenever it died, until so many are killed; then lets it finish.
#
#   kills.sh COUNT SEED FILE.toml     in a scratch folder; `temper` on the PATH, TEMPER_DB set
#
# Leaves reported.jsonl (what the batch reported as recorded), killed (a line for each) and last.json.
set -u
count=$1
RANDOM=$2
file=$3
: >killed
: >reported.jsonl

# The batch and all that it started, deepest last.
family() {
  echo "$1"
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}

# Most kills come once work is under way again, some while it begins.
reported() { wc -l <reported.jsonl; }
work_on() {
  [ $((RANDOM % 4)) -eq 0 ] && return
  local before
  before=$(reported)
  while [ "$(reported)" -eq "$before" ] && kill -0 "$main" 2>/dev/null; do sleep 0.05; done
}

main=
start() {
  temper batch "$file" --json --log reported.jsonl >last.json 2>last.err &
  main=$!
}
start
while [ "$(wc -l <killed)" -lt "$count" ]; do
  # Random moments, not a rhythm: 10 to 410 ms apart.
  sleep "0.$(printf %03d $((RANDOM % 400 + 10)))"
  if ! kill -0 "$main" 2>/dev/null; then
    wait "$main"
    echo "ended with $? before all were killed" >>killed.note
    # It finished: the next generation begins anew.
    if [ "$(tail -n 1 killed | cut -d' ' -f1)" != main ]; then
      temper batch "$file" --again --json --log reported.jsonl >last.json 2>last.err &
      main=$!
    else
      start
    fi
    continue
  fi
  members=($(family "$main"))
  victim=${members[$((RANDOM % ${#members[@]}))]}
  name=$(cat "/proc/$victim/comm" 2>/dev/null) || continue
  if [ "$victim" = "$main" ]; then name=main; fi
  kill -9 "$victim" 2>/dev/null || continue
  echo "$name $victim" >>killed
  if [ "$victim" = "$main" ]; then
    wait "$main" 2>/dev/null
    start
  fi
  case $name in main | temper-runner) work_on ;; esac
done
wait "$main"
code=$?
# Too many kills of one kernel's helpers in a row are a failure that another call repairs.
for _ in 1 2 3; do
  [ $code -eq 0 ] && break
  temper batch "$file" --json --log reported.jsonl >last.json 2>last.err
  code=$?
done
exit $code
