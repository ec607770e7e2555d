#!/bin/sh
# usage: tests/arm/launchers.sh BUILD SYSROOT
#
# For each program of BUILD makes one of the same name in BUILD/emulated, which runs it by QEMU. A shell script can be executed
# wherever tests execute programs, also where the kernel has not been told of QEMU (binfmt_misc).
set -eu
[ $# -eq 2 ] || { echo "usage: tests/arm/launchers.sh BUILD SYSROOT" >&2; exit 64; }
build=$(cd "$1" && pwd) sysroot=$(cd "$2" && pwd)
rm -rf "$build/emulated"
mkdir -p "$build/emulated/tests/unit" "$build/emulated/tests/helpers" "$build/emulated/tests/fuzz"

# launcher NAME PROGRAM
launcher() {
  printf '#!/bin/sh\nexec qemu-aarch64-static -L '\''%s'\'' '\''%s'\'' "$@"\n' "$sysroot" "$2" >"$build/emulated/$1"
  chmod +x "$build/emulated/$1"
}

for program in "$build"/hone-* "$build"/tests/unit/test_* "$build"/tests/helpers/* "$build"/tests/fuzz/*; do
  case $program in
    *.o | *.d | *.so) ;;
    *) [ ! -f "$program" ] || launcher "${program#"$build/"}" "$program" ;;
  esac
done
# hone starts what lies beside it.
cp "$build/hone" "$build/emulated/.hone"
launcher hone "$build/emulated/.hone"
