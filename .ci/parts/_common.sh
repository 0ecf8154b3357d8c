# Sourced by the parts: real servers for the *.parts.spec.ts, on this machine alone.
#
#   bash .ci/parts/<part>.sh install|start|stop
#
# `start` installs what is missing, waits until the server answers and prints its address as the last line; it may be repeated.
# Everything is kept under $PARTS_DIR and listens on loopback. Needs root on Debian.
# shellcheck shell=bash
set -euo pipefail

PARTS_DIR=${PARTS_DIR:-/tmp/parts}
mkdir -p "$PARTS_DIR"

say() { printf '%s\n' "$*" >&2; }

# is_running <pid file>
is_running() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# detach <pid file> <log file> <command…> : runs it in a session of its own, so that it outlives the caller
detach() {
  local pid_file=$1 log=$2
  shift 2
  setsid nohup "$@" >"$log" 2>&1 </dev/null &
  echo $! >"$pid_file"
}

# answers_within <seconds> <pid file> <log file> <command…> : waits until the command succeeds; says why when it never does
answers_within() {
  local seconds=$1 pid_file=$2 log=$3 until
  shift 3
  until=$((SECONDS + seconds))
  while [ "$SECONDS" -lt "$until" ]; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    if ! is_running "$pid_file"; then
      say "the server ended by itself; its last lines:"
      tail -n 20 "$log" >&2
      return 1
    fi
    sleep 0.2
  done
  say "no answer within $seconds s; its last lines:"
  tail -n 20 "$log" >&2
  return 1
}

# end_of <pid file> : asks it to stop, for half a minute, then stops it
end_of() {
  local pid
  if is_running "$1"; then
    pid=$(cat "$1")
    kill "$pid"
    for _ in $(seq 150); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.2
    done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$1"
}

# first_source : the archive that this machine installs from, so that no host is named here
first_source() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && awk '$1 == "URIs:" { print $2; found = 1; exit } END { exit !found }' "$file" && return 0
  done
  # The older format: deb [options] <address> <suite> …
  awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; found = 1; exit } } END { exit !found }' \
    /etc/apt/sources.list 2>/dev/null
}

# packages <name…> : installs those that are missing, without starting what they bring
packages() {
  local name policy=/usr/sbin/policy-rc.d ours=
  local missing=()
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  local failed=
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 || failed=yes
  if [ -n "$ours" ]; then rm -f "$policy"; fi
  [ -z "$failed" ]
}

# part <verb> : what a part does with its argument
part() {
  case "${1:-}" in
    install) install ;;
    start)
      # Not joined by &&: bash then overlooks what fails inside the first.
      install
      start
      ;;
    stop) stop ;;
    *)
      say "usage: $0 install|start|stop"
      exit 2
      ;;
  esac
}
