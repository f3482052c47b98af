#!/bin/bash
# inside.sh FOLDER: the first process of a reference's host, in its own namespaces: libvirtd with the folders that host.sh has made.
set -eu
d=$1
mount -n -t proc proc /proc
mount -n -t sysfs sysfs /sys
mount -n -t tmpfs -o mode=755 run /run
mkdir -p /run/libvirt /run/lock
mount -n --bind "$d/run" /run/libvirt
for folder in /var/lib/libvirt /etc/libvirt /var/cache/libvirt /var/log/libvirt; do
  if [ ! -d "$folder" ]; then
    work=/run/overlay${folder//\//-}
    mkdir -p "$work/u" "$work/w"
    mount -n -t overlay -o "lowerdir=${folder%/*},upperdir=$work/u,workdir=$work/w,userxattr" overlay "${folder%/*}"
    mkdir "$folder"
  fi
done
mount -n --bind "$d/var" /var/lib/libvirt
mount -n --bind "$d/etc" /etc/libvirt
mount -n --bind "$d/../cache" /var/cache/libvirt
mount -n --bind "$d/log" /var/log/libvirt
mount -n --bind "$d/hosts" /etc/hosts
mount -n --bind "$d/passwd" /etc/passwd
mount -n --bind "$d/group" /etc/group
hostname envup
ip link set lo up
virtlogd &
libvirtd &
wait
