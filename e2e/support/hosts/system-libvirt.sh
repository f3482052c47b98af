#!/bin/bash
# A libvirt like the machine's own (qemu:///system at its usual place), in its own mount and network namespaces without internet access.
# system-libvirt.sh FOLDER: private state below FOLDER; stays in the foreground and ends everything when it exits.
set -eu
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
folder=$1
mount -n --make-rprivate /
mkdir -p "$folder"/{run,var,etc,cache,log}
# Mount points that the package with the system service would create, on private copies of their parents.
for parent in /run /var/lib /var/cache /var/log /etc; do
  name=${parent//\//-}
  mkdir -p "$folder/over/$name/"{upper/libvirt,work}
  if [ "$parent" = /run ]; then
    mkdir -p "$folder/run-private"
    mount -n -t tmpfs run "$folder/run-private"
    mkdir "$folder/run-private/libvirt"
    mount -n --move "$folder/run-private" /run
  elif [ ! -d "$parent/libvirt" ]; then
    mount -n -t overlay -o "lowerdir=$parent,upperdir=$folder/over/$name/upper,workdir=$folder/over/$name/work" overlay "$parent"
  fi
done
mount -n --bind "$folder/run" /run/libvirt
mount -n --bind "$folder/var" /var/lib/libvirt
mount -n --bind "$folder/etc" /etc/libvirt
mount -n --bind "$folder/cache" /var/cache/libvirt
mount -n --bind "$folder/log" /var/log/libvirt
printf '127.0.0.1 localhost %s\n' "$(hostname)" >"$folder/hosts"
mount -n --bind "$folder/hosts" /etc/hosts
# libvirt looks up its QEMU user even if the configuration names another; the package with the system service creates it.
{ cat /etc/passwd; echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin'; } >"$folder/passwd"
{ cat /etc/group; echo 'libvirt-qemu:x:64055:'; } >"$folder/group"
mount -n --bind "$folder/passwd" /etc/passwd
mount -n --bind "$folder/group" /etc/group
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
cat >/etc/libvirt/libvirtd.conf <<'C'
unix_sock_rw_perms = "0777"
auth_unix_rw = "none"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
C
cat >/etc/libvirt/qemu.conf <<'C'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
C
: >/etc/libvirt/virtlogd.conf
virtlogd --config /etc/libvirt/virtlogd.conf --pid-file "$folder/virtlogd.pid" &
libvirtd --config /etc/libvirt/libvirtd.conf --pid-file "$folder/libvirtd.pid" &
# As pid 1 the shell reaps QEMU processes that have ended; libvirt waits for that during a revert.
wait $!
