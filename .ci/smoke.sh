#!/usr/bin/env bash
# .ci/smoke.sh [arguments of npm start…]     for example: .ci/smoke.sh --unfold
# Starts the mesh on a data folder of its own as a user would, looks at it from outside, presses Ctrl-C, and looks for what is left;
# then once more on the same data. One line for each thing seen; leaves with 1 if one was not.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

port=${GATEWAY_PORT:-18080}
url=http://127.0.0.1:$port
READY_SECONDS=${READY_SECONDS:-180} # a build and an import of films on a busy machine; what a person waits is measured elsewhere
STOP_SECONDS=20                     # a process drains within 15 s
scratch=$(mktemp -d)
export MESH_DATA=$scratch/data
failed=0
pid=

ok() { printf '   ok    %s\n' "$*"; }
fail() {
  printf '   FAIL  %s\n' "$*"
  failed=1
}

# ids of a process and of all below it
tree() {
  local id
  for id in "$@"; do
    echo "$id"
    # shellcheck disable=SC2046
    tree $(pgrep -P "$id")
  done
}

# what still runs of the processes named: those given, and PostgreSQL, which knows its data folder alone
left_of() {
  local id
  for id in "$@" $(pgrep -f -- "$scratch"); do
    [ "$id" != $$ ] && kill -0 "$id" 2>/dev/null && echo "$id"
  done | sort -u
}

stop() {
  [ -n "$pid" ] && kill -KILL -- "-$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  local id
  for id in $(left_of); do kill -KILL "$id" 2>/dev/null; done
  rm -rf "$scratch"
}
trap stop EXIT

answers() { curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "$@"; }
# Asked up to three times: a busy machine may be too slow for a deadline, and says so with a 503 or 504.
expect() {
  local wanted=$1 what=$2 got try
  shift 2
  for try in 1 2 3; do
    got=$(answers "$@")
    [ "$got" = "$wanted" ] && ok "$what: $got" && return
    case $got in 503 | 504) sleep "$try" ;; *) break ;; esac
  done
  fail "$what: $got, not $wanted"
}

first_page() { curl --silent --max-time 5 "$url/api/movies?limit=1"; }

wait_until_ready() {
  local end=$((SECONDS + READY_SECONDS))
  while [ $SECONDS -lt $end ]; do
    case $(first_page) in *'"items":[{'*) return 0 ;; esac
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.25
  done
  return 1
}

look() {
  expect 400 'an unknown filter' "$url/api/movies?nonsense=1"
  expect 401 'a write without a token' -X POST -H 'content-type: application/json' -d '{"title":"x"}' "$url/api/movies"
  expect 400 'a wrong write, with one' -X POST -H 'content-type: application/json' -d '{}' \
    -H "authorization: Bearer $(node apps/mesh/front.mjs token)" "$url/api/movies"
  expect 200 'the authorization server' "$url/oauth/.well-known/openid-configuration"
  expect 404 'a route that nobody declares' "$url/api/nothing"
  expect 404 'the metrics, from outside' "$url/metrics"
  expect 200 'the API description' "$url/openapi.json"
  expect 200 'the API pages' "$url/docs"
}

# npm hands one key press on, and so does the terminal: every process of the group gets it
press_ctrl_c() {
  local running end left
  running=$(tree "$pid")
  end=$((SECONDS + STOP_SECONDS))
  kill -INT -- "-$pid"
  while :; do
    # shellcheck disable=SC2086
    left=$(left_of $running)
    [ -z "$left" ] && ok "Ctrl-C stops all $(echo "$running" | wc -l) processes" && break
    if [ $SECONDS -ge $end ]; then
      fail "left $STOP_SECONDS s after Ctrl-C:"
      # shellcheck disable=SC2086
      ps -o pid=,args= -p $(echo $left | tr ' ' ',') | cut -c1-160
      break
    fi
    sleep 0.25
  done
  [ "$(answers "$url/")" = 000 ] && ok "port $port is free" || fail "port $port still answers"
  pid=
}

for round in first second; do
  log=$scratch/$round.log
  started=$SECONDS
  setsid npm start -- --port "$port" "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  if wait_until_ready; then
    ok "$round npm start${*:+ $*}: films can be read after $((SECONDS - started)) s"
    look
    press_ctrl_c
  else
    fail "$round npm start${*:+ $*}: no films after $((SECONDS - started)) s; its last lines:"
    tail -n 25 "$log"
    break
  fi
done
exit $failed
