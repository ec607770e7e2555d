/* hone-eval --metrics: the figures of a predictions file, without a model. */
#ifndef HONE_TOOLS_EVAL_FROM_FILE_H
#define HONE_TOOLS_EVAL_FROM_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "eval/metrics.h"

/* Reads the predictions file, "-" for stdin, and computes its figures, which the caller releases. `positive`
 * is the name of the positive class of the binary figures, or NULL. */
int eval_from_file(struct metrics *m, const char *path, const char *positive, const double *betas, size_t n_betas,
	struct err *e);

/* Prints figures on stdout, as one line of JSON or as a table. */
void eval_print(const struct metrics *m, bool json);

#endif
