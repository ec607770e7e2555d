#!/bin/sh
# usage: tests/arm/sysroot.sh DIR PACKAGE...
#
# Fills DIR with Debian's packages for 64-bit ARM and all that they depend on, of the release that this machine has. They are
# unpacked, not installed: nothing of the system changes, and nobody needs to be root. DIR is there when it is whole.
set -eu
[ $# -ge 2 ] || { echo "usage: tests/arm/sysroot.sh DIR PACKAGE..." >&2; exit 64; }
root=$1
shift
[ ! -d "$root" ] || exit 0
mkdir -p "$root.new" "$root.apt/lists/partial" "$root.apt/archives/partial"
state=$(cd "$root.apt" && pwd)

# apt with a state of its own, in which no package is installed
apt() {
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$state" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$state" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}

apt update
apt install -y --no-install-recommends --download-only "$@"
for package in "$state"/archives/*.deb; do
  dpkg -x "$package" "$root.new"
done
# What installing would have made: /lib, where packages no longer have it, and the choice of a BLAS.
[ -e "$root.new/lib" ] || ln -s usr/lib "$root.new/lib"
ln -s openblas-openmp/libopenblas.so.0 "$root.new/usr/lib/aarch64-linux-gnu"
rm -r "$root.apt"
mv "$root.new" "$root"
