#!/usr/bin/env bats
# The order of the folders, and that the script which holds it can say no.

setup() {
  layers=$BATS_TEST_DIRNAME/../layers.sh
}

# breaks FILE TEXT: a tree with this one include is refused, by name
breaks() {
  local root=$BATS_TEST_TMPDIR/root
  rm -rf "$root"
  mkdir -p "$root"/lib/{base,fmt,text,math,model,eval} "$root"/tools/{one,two}
  touch "$root"/lib/{base/b,fmt/f,text/t,math/m,model/d,eval/e}.h "$root"/tools/{one/one,two/two}.h
  "$layers" "$root"
  echo "$2" >"$root/$1"
  run "$layers" "$root"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == "$1:1: "* ]]
}

@test "layers: every include of the tree is in order" {
  "$layers"
}

@test "layers: what breaks the order is refused" {
  breaks lib/base/x.c '#include "fmt/f.h"'
  breaks lib/math/x.c '#include "fmt/f.h"'
  breaks lib/math/x.h '# include "model/d.h"'
  breaks lib/text/x.c '#include <math/m.h>'
  breaks lib/text/x.c '#include "model/d.h"'
  breaks lib/fmt/x.c '#include "text/t.h"'
  breaks lib/model/x.c '#include "text/t.h"'
  breaks lib/model/x.c '#include "eval/e.h"'
  breaks lib/text/x.c '#include "eval/e.h"'
  breaks lib/eval/x.c '#include "../../tools/one/one.h"'
  breaks tools/one/x.c '#include "../two/two.h"'
  breaks tools/one/x.c '#include "two/two.h"'
  breaks tools/one/x.c '#include <cblas.h>'
  breaks lib/model/x.c '#include <openblas/cblas.h>'
}
