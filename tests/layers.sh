#!/bin/sh
# usage: layers.sh [ROOT]
# Holds every #include of lib/ and tools/ against the order of the folders:
#   tools -> eval -> model -> math, fmt -> base;  tools, eval -> text -> fmt -> base
# No tool includes another; only lib/math/gemm.c knows BLAS. Prints what breaks this and exits 1.
cd "${1:-$(dirname "$0")/..}" || exit 2

# Prints FILE:LINE:HEADER of every include of one folder's files, in quotes or brackets.
includes() {
  find "$1" -name '*.[ch]' -exec grep -Hn '^[[:space:]]*#[[:space:]]*include' {} + |
    sed -n 's/^\([^:]*:[0-9]*\):[^"<]*["<]\([^">]*\)[">].*/\1:\2/p'
}

# allow FOLDER LAYER...: headers that lib/FOLDER includes come from these layers, from itself, or from the system
allow() {
  folder=$1
  shift
  [ -d "lib/$folder" ] || return 0
  includes "lib/$folder" | while IFS=: read -r file line header; do
    case $header in ../* | */../*) ok= ;; *) [ -e "lib/$header" ] && ok= || ok=1 ;; esac
    for layer in "$folder" "$@"; do
      case $header in */../*) ;; "$layer"/*) ok=1 ;; esac
    done
    [ "$ok" ] || echo "$file:$line: lib/$folder may not include '$header' (only: $folder $*)"
  done
}

# tools include headers of the library, of the system, and of their own folder
check_tools() {
  includes tools | while IFS=: read -r file line header; do
    case $header in ../* | */../*) ok= ;; *) [ -e "tools/$header" ] && ok= || ok=1 ;; esac
    [ "$ok" ] || echo "$file:$line: a tool may not include '$header', which is not its own"
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
  allow eval model text math fmt base
  check_tools
  check_blas
)
[ -z "$broken" ] || { echo "$broken"; exit 1; }
