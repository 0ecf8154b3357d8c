#!/usr/bin/env bash
# A Consul server for CONSUL_HTTP_ADDR. Debian's current suite has none; its suite of 2021 has 1.8.7. An apt of its own looks there,
# fetches that one package and unpacks it aside: the system's own sources and packages stay as they are.
#
#   CONSUL_PORT  of the HTTP API, 18500; the next hundred's ports are its own affairs
. "$(dirname "${BASH_SOURCE[0]}")/_common.sh"

suite=bullseye
home=$PARTS_DIR/consul
port=${CONSUL_PORT:-18500}
program=$home/bin/consul

install() {
  [ -x "$program" ] && return 0
  local archive apart=$home/apt
  archive=$(first_source) || { say "apt has no source to take Consul from"; return 1; }
  mkdir -p "$apart/sources" "$apart/lists/partial" "$apart/cache/archives/partial" "$home/bin"
  cat >"$apart/sources/consul.sources" <<END
Types: deb
URIs: $archive
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  local only=(
    -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apart/sources"
    -o "Dir::State::lists=$apart/lists" -o "Dir::Cache=$apart/cache" -o APT::Sandbox::User=root
  )
  apt-get "${only[@]}" update -qq >&2
  (cd "$apart" && apt-get "${only[@]}" download -qq consul >&2 && dpkg-deb -x consul_*.deb unpacked)
  mv "$apart/unpacked/usr/bin/consul" "$program"
  rm -rf "$apart"
}

# It leads, and its own node is known: before that a registration is lost.
leads() {
  curl -sf "http://127.0.0.1:$port/v1/status/leader" | grep -q : &&
    curl -sf "http://127.0.0.1:$port/v1/health/service/consul?passing" | grep -q '"Node"'
}

start() {
  mkdir -p "$home/data"
  if ! is_running "$home/pid"; then
    detach "$home/pid" "$home/log" "$program" agent -server -bootstrap-expect=1 -node=parts \
      -bind=127.0.0.1 -client=127.0.0.1 -data-dir="$home/data" \
      -http-port="$port" -dns-port=$((port + 100)) -server-port=$((port - 200)) -serf-lan-port=$((port - 199)) \
      -serf-wan-port=-1 -grpc-port=-1 \
      -hcl='performance { raft_multiplier = 1 }' -hcl='disable_update_check = true'
  fi
  answers_within 40 "$home/pid" "$home/log" leads
  echo "http://127.0.0.1:$port"
}

stop() { end_of "$home/pid"; }

part "$@"
