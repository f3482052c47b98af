/**
 * What runs in guests: scripts for any POSIX shell with the usual small programs (GNU's or busybox's). Paths and numbers are their
 * arguments, never part of the text.
 */

/**
 * PATH PARENT [PART]: prints what PATH is, whether PARENT is a folder, which tar there is, and size, time, mode and occupied blocks of
 * PATH if it is a file; then the size of PART. What is unknown is an empty line.
 */
export const LOOK = `
if [ -d "$1" ]; then echo folder; elif [ -f "$1" ]; then echo file; elif [ -e "$1" ]; then echo special
elif [ -L "$1" ]; then echo link; else echo missing; fi
if [ -d "$2" ]; then echo folder; else echo missing; fi
if ! command -v tar >/dev/null 2>&1; then echo none
else case $(tar --version 2>/dev/null) in *GNU*) echo gnu ;; *) echo tar ;; esac; fi
if [ -f "$1" ]; then stat -L -c '%s %Y %a %b %B' "$1" 2>/dev/null || echo; else echo; fi
if [ -f "\${3-}" ]; then stat -c %s "$3" 2>/dev/null || echo; else echo; fi
`;

/**
 * FOLDER NAME UNIQUE: unpacks the archive on stdin, which has the tree as "c" and then a member "done", and puts it at FOLDER/NAME: in one
 * rename if there is nothing yet, else file by file into the folder that is there. Whatever interrupts it removes what it has unpacked.
 */
export const UNPACK = `
unset CDPATH
cd "$1" || exit 1
name=./$2 tmp=.lago-copy.$3
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM PIPE
(umask 077 && mkdir "$tmp") || exit 1
tar -x -o -p -f - -C "$tmp" || exit 1
if [ ! -f "$tmp/done" ]; then echo 'The transfer was interrupted.' >&2; exit 1; fi
if [ ! -e "$name" ] && [ ! -L "$name" ]; then mv "$tmp/c" "$name"; exit; fi
(
  cd "$tmp/c" || exit 1
  find . -type d -exec sh -c '
    name=$1
    shift
    fail() { : >../failed; exit 1; }
    for d do
      [ -d "$d" ] || continue
      to=../../$name/$d
      if [ ! -e "$to" ] && [ ! -L "$to" ]; then mv "$d" "$to" || fail; continue; fi
      [ -d "$to" ] || { echo "$name/$d is not a directory" >&2; fail; }
      set --
      for f in "$d"/* "$d"/.[!.]* "$d"/..?*; do
        if [ -L "$f" ] || { [ -e "$f" ] && [ ! -d "$f" ]; }; then set -- "$@" "$f"; fi
        if [ $# -ge 100 ]; then mv -f "$@" "$to/" || fail; set --; fi
      done
      if [ $# -gt 0 ]; then mv -f "$@" "$to/" || fail; fi
    done
  ' sh "$name" {} +
) || exit 1
[ ! -e "$tmp/failed" ]
`;

/**
 * FINAL PART KEEP MODE TIME SIZE: appends stdin to PART, and renames it to FINAL once it has its full size. An incomplete one is kept for
 * the next attempt if KEEP is 1. TIME is that of \`touch -t\`, in UTC.
 */
export const WRITE_FILE = `
final=$1 part=$2 keep=$3
if [ -d "$final" ]; then echo 'it is a directory' >&2; exit 1; fi
trap 'if [ "$keep" != 1 ]; then rm -f "$part"; fi' EXIT
trap 'exit 1' HUP INT TERM PIPE
(umask 077 && cat >>"$part") || exit 1
size=$(stat -c %s "$part" 2>/dev/null || wc -c <"$part")
if [ "$size" -ne "$6" ]; then echo "The transfer was interrupted." >&2; exit 1; fi
chmod "$4" "$part" && TZ=UTC0 touch -t "$5" "$part" && mv -f "$part" "$final" || exit 1
`;

/**
 * FINAL PART MODE TIME SIZE AT:COUNT...: writes the blocks of 64 KiB that follow on stdin where they belong, the rest stays a hole. After
 * them stdin has a line "done".
 */
export const WRITE_SPARSE = `
final=$1 part=$2 mode=$3 time=$4 size=$5
shift 5
if [ -d "$final" ]; then echo 'it is a directory' >&2; exit 1; fi
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT TERM PIPE
(umask 077 && : >"$part") || exit 1
for run do
  dd of="$part" bs=65536 seek="\${run%:*}" count="\${run#*:}" iflag=fullblock conv=notrunc 2>"$part.log" || { cat "$part.log" >&2; rm -f "$part.log"; exit 1; }
done
rm -f "$part.log"
read -r end
if [ "$end" != done ]; then echo "The transfer was interrupted." >&2; exit 1; fi
dd if=/dev/null of="$part" bs=1 seek="$size" count=0 2>/dev/null || exit 1
chmod "$mode" "$part" && TZ=UTC0 touch -t "$time" "$part" && mv -f "$part" "$final" || exit 1
`;

/** PATH: prints the file from byte FROM (counted from 1). */
export const READ_FILE = `
if [ "$2" -gt 1 ]; then exec tail -c "+$2" "$1"; else exec cat "$1"; fi
`;

/** FOLDER [OPTION...]: archives a folder's content. */
export const PACK_FOLDER = `
folder=$1
shift
exec tar -c -f - "$@" -C "$folder" .
`;

/** FOLDER NAME [OPTION...]: archives one file. */
export const PACK_FILE = `
folder=$1 name=$2
shift 2
exec tar -c -f - "$@" -C "$folder" "./$name"
`;

/**
 * ID LIMIT SCRIPT [ARGUMENT...]: runs a script and keeps what it prints in a file that only root can read, compressed if there is gzip, at
 * most LIMIT + 1 bytes. Prints four lines: "gzip" or "plain", the size of the file, the script's exit status, the file. Removes files that
 * have been forgotten for an hour.
 */
export const PACK_TO = `
id=$1 limit=$2 script=$3
shift 3
folder=/var/tmp
[ -d "$folder" ] && [ -w "$folder" ] || folder=/tmp
find "$folder" -maxdepth 1 -name '.lago-collect.*' -mmin +60 -exec rm -f {} + 2>/dev/null
umask 077
out=$folder/.lago-collect.$id
if command -v gzip >/dev/null 2>&1; then kind=gzip; pack() { gzip -1; }; else kind=plain; pack() { cat; }; fi
code=$( { { sh -c "$script" lago "$@"; echo "$?" >&3; } | pack | head -c "$((limit + 1))" >"$out"; } 3>&1 ) || { rm -f "$out"; exit 1; }
echo "$kind"
wc -c <"$out"
echo "$code"
echo "$out"
`;

/** ID: removes the file that \`PACK_TO\` has made. */
export const FORGET_PACKED = `
rm -f "/var/tmp/.lago-collect.$1" "/tmp/.lago-collect.$1"
`;
