#!/bin/sh
# usage: layers.sh [ROOT]
# Holds every #include of lib/ and tools/ against the order of the folders:
#   tools -> eval -> model -> math, fmt -> base;  tools -> text -> fmt -> base
# No tool includes another; only lib/math/gemm.c knows BLAS. Prints what breaks this and exits 1.
cd "${1:-$(dirname "$0")/..}" || exit 2

# Prints FILE:LINE:HEADER of every include of one folder's files; -h at -q as written in quotes or brackets.
includes() {
  find "$1" -name '*.[ch]' -exec grep -Hn '^[[:space:]]*#[[:space:]]*include' {} + |
    sed -n 's/^\([^:]*:[0-9]*\):[^"<]*["<]\([^">]*\)[">].*/\1:\2/p'
}

# allow FOLDER LAYER...: quoted headers of lib/FOLDER come from these layers or from itself
allow() {
  folder=$1
  shift
  [ -d "lib/$folder" ] || return 0
  includes "lib/$folder" | while IFS=: read -r file line header; do
    [ -e "lib/$header" ] || case $header in ../* | */../*) ;; *) continue ;; esac
    ok=
    for layer in "$folder" "$@"; do
      case $header in ../* | */../*) ;; "$layer"/*) ok=1 ;; esac
    done
    [ "$ok" ] || echo "$file:$line: lib/$folder may not include '$header' (only: $folder $*)"
  done
}

# tools include headers of the library, of the system, and of their own folder
check_tools() {
  for dir in tools/*/; do
    [ -d "$dir" ] || continue
    includes "$dir" | while IFS=: read -r file line header; do
      if [ ! -e "lib/$header" ] && [ ! -e "$dir$header" ]; then
        case $header in
          ../* | */../* | tools/*) echo "$file:$line: a tool may not include another's '$header'" ;;
        esac
      fi
    done
  done
}

check_blas() {
  for dir in lib tools; do
    includes "$dir" | while IFS=: read -r file line header; do
      case $file:$header in
        lib/math/gemm.c:*) ;;
        *:*cblas.h | *:*openblas* | *:*dnnl*) echo "$file:$line: only lib/math/gemm.c may include '$header'" ;;
      esac
    done
  done
}

broken=$(
  allow base
  allow fmt base
  allow text fmt base
  allow math base
  allow model math fmt base
  allow eval model math fmt base
  check_tools
  check_blas
)
[ -z "$broken" ] || { echo "$broken"; exit 1; }
