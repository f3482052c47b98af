#!/bin/bash
# build.sh OUT.qcow2: the sample guest, a small Linux that boots from disk in seconds, from Debian packages only. Without root, loop
# devices and mounts: the partition table is written by hand, the boot partition by mtools and syslinux, the root file system by
# debugfs. The same packages give the same bytes.
#
# Inside: Debian's cloud kernel, busybox, bash with terminals and UTF-8, dropbear (ssh, scp, sftp), qemu-guest-agent. No key and no password: root is locked
# until a NoCloud seed (volume "cidata") brings them, see root/usr/sbin/lago-seed.
#
# Needs: apt-get, dpkg-deb, mke2fs and debugfs (e2fsprogs), qemu-img (qemu-utils), flock (util-linux),
# xz, gzip; strip (binutils) where there is one.
# Environment: WORK  folder for downloaded packages, kept for the next build (default: temporary)
#              SIZE_MB  size of the guest's disk (default 512, sparse)
#              AGENT=0  leave the guest agent out
#              CMDLINE  more kernel arguments
# Prints the kernel package and its version on the last line of stdout.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000 MTOOLS_SKIP_CHECK=1
umask 022

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT.qcow2}
size_mb=${SIZE_MB:-512}
signature=1a60cafe # of the disk, the boot volume and (as UUIDs) the root file system
lib=lib/x86_64-linux-gnu

fail() { echo "build.sh: $1" >&2; exit 1; }
for tool in flock apt-get apt-cache dpkg-deb mke2fs debugfs qemu-img xz gzip; do
  PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || fail "$tool is needed and not installed"
done
PATH=$PATH:/usr/sbin:/sbin

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
debs=${WORK:-$scratch}/debs
mkdir -p "$debs"
root=$scratch/root initrd=$scratch/initrd tree=$scratch/tree
mkdir -p "$root" "$initrd" "$tree"

# --- packages: kept in $debs under their full file names, so that a newer version is noticed
kernel_package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
[ -n "$kernel_package" ] || fail "apt knows no package linux-image-cloud-amd64 (Debian has it; run apt-get update first)"
kernel_release=${kernel_package#linux-image-}
# Debian 13 renamed some libraries: the first name that apt knows.
packages="$kernel_package busybox-static dropbear-bin openssh-client openssh-sftp-server bash ncurses-base libc-bin libc6 libtomcrypt1t64|libtomcrypt1
  libtommath1 zlib1g libcrypt1 libgmp10 libtinfo6 syslinux syslinux-common mtools"
[ "${AGENT:-1}" = 0 ] || packages="$packages qemu-guest-agent libglib2.0-0t64|libglib2.0-0 libnuma1 libpcre2-8-0 libudev1 liburing2"
# shellcheck disable=SC2086
known=$(apt-cache show --no-all-versions ${packages//|/ } 2>/dev/null | awk '/^Package:/ { printf " %s ", $2 }' || true)
wanted=()
for choice in $packages; do
  for name in ${choice//|/ }; do [[ $known == *" $name "* ]] && { wanted+=("$name"); continue 2; }; done
  fail "apt knows no package ${choice//|/ or } (run apt-get update first)"
done
(
  cd "$debs"
  flock 9
  # apt drops to its own user, who may not write here; as root it warns about that on every file.
  sandbox=()
  [ "$(id -u)" = 0 ] && sandbox=(-o APT::Sandbox::User=root)
  apt-get -qq "${sandbox[@]}" download "${wanted[@]}"
) 9>"$debs/.lock" >"$scratch/apt.log" 2>&1 || { cat "$scratch/apt.log" >&2; fail "packages could not be downloaded"; }
for name in "${wanted[@]}"; do
  # shellcheck disable=SC2012
  deb=$(ls -t "$debs/${name}"_*.deb | head -1)
  dpkg-deb -x "$deb" "$tree"
  [ "$name" = "$kernel_package" ] && kernel_version=$(dpkg-deb -f "$deb" Version)
done
modules=$tree/lib/modules/$kernel_release/kernel
[ -d "$modules" ] || modules=$tree/usr/lib/modules/$kernel_release/kernel
kernel=$tree/boot/vmlinuz-$kernel_release
busybox=$tree/bin/busybox
[ -e "$busybox" ] || busybox=$tree/usr/bin/busybox

# module TARGET_DIR NAME...: copies modules, numbered in the order in which they must be loaded
module() {
  local dir=$1 n=10 m
  shift
  mkdir -p "$dir"
  for m in "$@"; do
    local file=$dir/$n-${m##*/}.ko
    if [ -e "$modules/$m.ko.xz" ]; then xz -dc "$modules/$m.ko.xz" >"$file"; else cp "$modules/$m.ko" "$file"; fi
    if command -v strip >/dev/null; then strip -d "$file"; fi
    n=$((n + 1))
  done
}

# --- root file system
mkdir -p "$root"/{bin,sbin,usr/{bin,sbin,lib,share},lib64,$lib,etc/dropbear,root/.ssh,proc,sys,dev,run,tmp,mnt,boot,lib/modules,var/{log,tmp,lib}}
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list-full); do
  [ "$applet" = bin/busybox ] && continue
  mkdir -p "$root/${applet%/*}"
  ln -sf /bin/busybox "$root/$applet"
done
rm -f "$root/bin/bash"
# A copy must not write through one of busybox's links.
(cd "$here/root" && find . ! -type d) | while read -r file; do
  mkdir -p "$root/${file%/*}"
  cp --remove-destination "$here/root/$file" "$root/$file"
done
for name in poweroff reboot halt; do ln -sf /sbin/shutdown "$root/sbin/$name"; done

programs="bin/bash usr/sbin/dropbear usr/bin/dropbearkey usr/bin/scp usr/lib/sftp-server"
[ "${AGENT:-1}" = 0 ] || programs="$programs usr/sbin/qemu-ga"
for program in $programs; do
  case $program in usr/lib/sftp-server) from=usr/lib/openssh/sftp-server ;; *) from=$program ;; esac
  [ -e "$tree/$from" ] || from=usr/$from
  cp --remove-destination "$tree/$from" "$root/$program"
done
loader=$(find "$tree" -name 'ld-linux-x86-64.so.2' ! -type d | head -1)
cp -L "$tree/$lib/ld-linux-x86-64.so.2" "$root/lib64/" 2>/dev/null || cp -L "$loader" "$root/lib64/"
# Libraries come from the packages and never from this machine: what they lack is an error here, not in the guest.
needed() { "$root/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$tree/$lib:$tree/usr/$lib" --list "$1"; }
for program in $programs; do needed "$root/$program"; done | awk '$2 == "=>" { print $1, $3 }' | LC_ALL=C sort -u >"$scratch/libraries"
while read -r name file; do
  case $name in */ld-linux-*) continue ;; esac
  case $file in "$tree"/*) cp -L "$file" "$root/$lib/$name" ;; *) fail "library $name is in none of the packages" ;; esac
done <"$scratch/libraries"

# What terminals can do, and a locale in which a letter is a letter: without them readline counts columns wrongly.
for entry in a/ansi d/dumb l/linux s/screen s/screen-256color t/tmux t/tmux-256color v/vt100 v/vt102 v/vt220 x/xterm x/xterm-256color; do
  for from in lib/terminfo usr/lib/terminfo usr/share/terminfo; do
    [ -e "$tree/$from/$entry" ] || continue
    mkdir -p "$root/lib/terminfo/${entry%/*}"
    cp -L "$tree/$from/$entry" "$root/lib/terminfo/$entry"
    continue 2
  done
  fail "ncurses-base has no terminal ${entry#*/}"
done
mkdir -p "$root/usr/lib/locale"
cp -rL "$tree/usr/lib/locale/C.utf8" "$root/usr/lib/locale/"

printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'root:*:19700:0:99999:7:::\n' >"$root/etc/shadow"
printf '/bin/sh\n/bin/bash\n' >"$root/etc/shells"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
printf '/dev/root / ext4 rw,noatime 0 1\n' >"$root/etc/fstab"
printf 'NAME="Lago sample"\nID=lago-sample\nID_LIKE=debian\nPRETTY_NAME="Lago sample guest"\n' >"$root/etc/os-release"
# shellcheck disable=SC1003
printf 'Lago sample guest: \\n on \\l\n\n' >"$root/etc/issue"
cp "$root/root/.profile" "$root/root/.bashrc"
ln -sf /run/resolv.conf "$root/etc/resolv.conf"
chmod 600 "$root/etc/shadow"
chmod 700 "$root/root" "$root/root/.ssh"
chmod 1777 "$root/tmp" "$root/var/tmp"
module "$root/lib/modules/seed" drivers/cdrom/cdrom fs/isofs/isofs
module "$root/lib/modules/late" drivers/acpi/button drivers/input/evdev drivers/char/virtio_console drivers/char/hw_random/virtio-rng \
  drivers/virtio/virtio_balloon
module "$root/lib/modules/disks" drivers/scsi/scsi_common drivers/scsi/scsi_mod drivers/scsi/sd_mod drivers/ata/libata drivers/ata/ata_piix \
  drivers/cdrom/cdrom drivers/scsi/sr_mod

# --- initramfs
mkdir -p "$initrd"/{bin,dev,proc,sys,root}
cp "$busybox" "$initrd/bin/busybox"
ln -s busybox "$initrd/bin/sh"
cp "$here/initrd/init" "$initrd/init"
chmod +x "$initrd/init"
module "$initrd/modules/base" drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev \
  drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/block/virtio_blk net/core/failover drivers/net/net_failover \
  drivers/net/virtio_net
module "$initrd/modules/scsi" drivers/scsi/scsi_common drivers/scsi/scsi_mod drivers/scsi/sd_mod drivers/scsi/virtio_scsi
find "$root" "$initrd" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
# The cpio archive is written by hand: programs for it keep inode numbers and owners, which tell where it was built.
newc() { # NAME MODE NLINK SIZE
  inode=$((inode + 1))
  printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x' $inode "$2" 0 0 "$3" $SOURCE_DATE_EPOCH "$4" 0 0 0 0 $((${#1} + 1)) 0
  printf '%s\0' "$1"
  pad $((110 + ${#1} + 1))
}
pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }
archive() {
  local inode=0 name size link
  cd "$initrd"
  find . -mindepth 1 -printf '%P\n' | sort | while read -r name; do
    if [ -L "$name" ]; then
      link=$(readlink "$name")
      newc "$name" 0120777 1 ${#link}
      printf %s "$link"
      pad ${#link}
    elif [ -d "$name" ]; then
      newc "$name" 040755 2 0
    else
      size=$(stat -c %s "$name")
      newc "$name" 0100755 1 "$size"
      cat "$name"
      pad "$size"
    fi
  done
  newc 'TRAILER!!!' 0 1 0
}
(archive) | gzip -9n >"$scratch/initrd.img"

# --- disk: MBR, boot partition (FAT16) at 1 MiB, root partition (ext4). syslinux, since GRUB's BIOS reads cost 2.5 s under plain
# emulation; a FAT of its own, since syslinux cannot read files with holes.
disk=$scratch/disk.raw
boot_mb=$((($(stat -c %s "$kernel") + $(stat -c %s "$scratch/initrd.img")) / 1048576 + 2))
[ $boot_mb -ge 9 ] || boot_mb=9
boot_start=2048 boot_sectors=$((boot_mb * 2048))
root_start=$((boot_start + boot_sectors)) root_sectors=$((size_mb * 2048 - boot_start - boot_sectors))
truncate -s "${size_mb}M" "$disk"
cmdline="console=tty0 console=ttyS0,115200n8 quiet random.trust_cpu=on mitigations=off nokaslr tsc=reliable no_timer_check \
cryptomgr.notests panic=5${CMDLINE:+ $CMDLINE}"
printf 'DEFAULT linux\nPROMPT 0\nTIMEOUT 0\nLABEL linux\n KERNEL vmlinuz\n INITRD initrd\n APPEND %s\n' "$cmdline" >"$scratch/syslinux.cfg"
cp "$kernel" "$scratch/vmlinuz"
mv "$scratch/initrd.img" "$scratch/initrd.gz"
touch -d @$SOURCE_DATE_EPOCH "$scratch"/{vmlinuz,initrd.gz,syslinux.cfg}
mtools=$tree/usr/bin/mtools
"$mtools" -c mformat -i "$disk@@1M" -T $boot_sectors -h 64 -s 32 -H $boot_start -N $signature -v LAGOBOOT ::
"$mtools" -c mcopy -m -i "$disk@@1M" "$scratch/vmlinuz" ::vmlinuz
"$mtools" -c mcopy -m -i "$disk@@1M" "$scratch/initrd.gz" ::initrd
"$mtools" -c mcopy -m -i "$disk@@1M" "$scratch/syslinux.cfg" ::
PATH=$tree/usr/bin:$PATH "$tree/usr/bin/syslinux" --offset $((boot_start * 512)) --install "$disk"
mke2fs -q -F -t ext4 -b 4096 -L lagoroot -m 0 -U $signature-0000-4000-8000-000000000001 \
  -O '^metadata_csum_seed,^orphan_file' \
  -E "offset=$((root_start * 512)),root_owner=0:0,hash_seed=$signature-0000-4000-8000-000000000002,lazy_itable_init=0,lazy_journal_init=0" \
  "$disk" $((root_sectors / 2))k
# Filled by debugfs in sorted order: all files are root's whoever builds, and the bytes do not depend on this machine's directories.
fill() {
  echo "set_current_time @$SOURCE_DATE_EPOCH"
  cd "$root"
  find . -mindepth 1 -printf '%y %m %P\n' | sort -k3 | while read -r type mode name; do
    case $type in
    d) printf 'mkdir "/%s"\n' "$name"; [ "$mode" = 755 ] || printf 'set_inode_field "/%s" mode 04%s\n' "$name" "$(printf %04d "$mode")" ;;
    l) printf 'symlink "/%s" "%s"\n' "$name" "$(readlink "$name")" ;;
    f) printf 'write "%s/%s" "/%s"\n' "$root" "$name" "$name" ;;
    esac
  done
}
(fill) >"$scratch/fill"
debugfs -w -f "$scratch/fill" "$disk?offset=$((root_start * 512))" 2>&1 >/dev/null | grep -v '^debugfs [0-9]' >&2 && fail "root file system could not be filled"
put() { dd of="$disk" bs=1 seek="$1" conv=notrunc status=none; }
le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $((($1 >> 8) & 255)) $((($1 >> 16) & 255)) $((($1 >> 24) & 255)); }
partition() { printf "\\x$1\\xfe\\xff\\xff\\x$2\\xfe\\xff\\xff$(le32 "$3")$(le32 "$4")"; }
head -c 440 "$tree/usr/lib/syslinux/mbr/mbr.bin" | put 0
printf "$(le32 $((16#$signature)))" | put 440
{ partition 80 0e $boot_start $boot_sectors; partition 00 83 $root_start $root_sectors; } | put 446
printf '\x55\xaa' | put 510
qemu-img convert -f raw -O qcow2 "$disk" "$scratch/out.qcow2"
mv "$scratch/out.qcow2" "$out"
echo "$kernel_package $kernel_version"
