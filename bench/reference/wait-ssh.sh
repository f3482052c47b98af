#!/bin/bash
# wait-ssh.sh KEY ADDRESS…: waits like any script until every guest accepts a login. Prints the time then (ms), and the user and
# system time (MmS.SSSs) of itself and of everything that it started.
set -eu
export LC_ALL=C
key=$1
shift
for address; do
  until ssh -i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes \
    -o ConnectTimeout=1 "root@$address" true </dev/null 2>/dev/null; do sleep 0.5; done &
done
wait
echo $(($(date +%s%N) / 1000000))
times
