#!/bin/bash
# env-up.sh WORK IMAGE COUNT: the floor for "init, start, ssh". What a careful script for COUNT VMs on one network would do: an overlay and
# a NoCloud seed for each VM, virsh, ssh. Prints the milliseconds until a command ran in every VM, then ends everything.
set -eu
. "$(dirname "$0")/host.sh"

up() { # N: makes and starts one VM and waits until a command ran in it
  make_vm "$1"
  start_vm "$1"
  until nsenter -t "$init" -n timeout 0.3 bash -c "exec 3<>/dev/tcp/192.168.200.$1/22" 2>/dev/null; do sleep 0.05; done
  until nsenter -t "$init" -n ssh -i "$d/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    -o BatchMode=yes -o ConnectTimeout=10 "root@192.168.200.$1" true </dev/null; do sleep 0.1; done
}

began=$(now_ms)
prepare_host
begin_host
make_key
await_host
write_network
start_network
each_vm up
echo $(($(now_ms) - began))
