#!/bin/bash
# "Another machine" for tests, in namespaces of its own: no network but its loopback, its own processes, and its own /root, /home, /run and
# /tmp, so that it shares programs with this machine, but no file of an environment. LAB has the keys; sshd gets copies of them.
set -eu
ip link set lo up
mount -t tmpfs run /run
mkdir -p /run/sshd /run/keys
cp "$LAB"/host "$LAB"/authorized "$LAB"/sshd_config /run/keys/
for program in $WITHOUT; do mount --bind /dev/null "$program"; done
for folder in /root /home /tmp; do mount -t tmpfs -o mode=1777 far "$folder"; done
chmod 700 /root
cd /
unset LAB WITHOUT
/usr/sbin/sshd -D -e -f /run/keys/sshd_config &
# The first process of a pid namespace must take the orphans.
while :; do wait || :; sleep 1; done
