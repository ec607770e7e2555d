/* What the files of predictions share. */
#ifndef HONE_EVAL_PREDICTIONS_INT_H
#define HONE_EVAL_PREDICTIONS_INT_H

#include "eval/predictions.h"

/* A row without anything, behind the others; and a score behind those of the last row. */
struct prediction *predictions_add_row(struct predictions *p);
void predictions_add_score(struct predictions *p, int class, double v);

int predictions_by_class(const void *a, const void *b);  /* two struct score, for qsort */

#endif
