/* What kind of directory a path is, for those who name the wrong one. */
#ifndef HONE_BASE_DIR_KIND_H
#define HONE_BASE_DIR_KIND_H

#include "base/err.h"

/* Told by a file that it holds, in this order. */
enum dir_kind { DIR_DATASET, DIR_RUN, DIR_ADAPTER, DIR_MODEL };

/* 0 when `path` is a directory of the kind that is wanted. Else ERR_NOINPUT, with what it is instead, and where what is
 * wanted may be. */
int dir_check(const char *path, enum dir_kind wanted, struct err *e);

#endif
