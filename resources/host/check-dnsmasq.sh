#!/bin/bash
# Runs inside an embedded host: whether dnsmasq starts where only one user and one group exist, with the two options that the
# environments' networks give it. Neither is documented for this use.
set -eu
pid_file=/run/lago-check-dnsmasq.pid
dnsmasq --conf-file=/dev/null --port=0 --user=root --group= --pid-file="$pid_file"
kill "$(<"$pid_file")"
rm -f "$pid_file"
