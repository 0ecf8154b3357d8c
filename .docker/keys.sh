#!/bin/sh
# Makes the passwords of the engines, once for each set of volumes, so that none stands in a file of this repository.
set -eu
make() {
  [ -s "/keys/$1" ] || head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"/keys/$1"
}
make postgres
make grafana
printf 'postgres://postgres:%s@postgres:5432/cinemanzana' "$(cat /keys/postgres)" >/keys/database-url
# Each engine reads as a user of its own; nobody else mounts this volume.
chmod 0444 /keys/*
