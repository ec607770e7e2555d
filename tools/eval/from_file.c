#include "from_file.h"

#include <stdio.h>
#include <string.h>

static bool
has_labels(const struct predictions *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->row[i].label >= 0)
			return true;
	return false;
}

static int
compute(struct metrics *m, const struct predictions *p, const char *path, const char *positive, const double *betas,
	size_t n_betas, struct err *e)
{
	struct metrics_options o = {.positive = -1, .betas = betas, .n_betas = n_betas};
	if (!has_labels(p))
		return err_set(e, ERR_DATA, "'%s': %s", path,
			p->n ? "no row has a label to compare its prediction with" : "holds no predictions");
	if (positive && (o.positive = predictions_class(p, positive)) < 0)
		return err_set(e, ERR_USAGE, "the positive class '%s' does not occur in '%s'", positive, path);
	return metrics_compute(m, p, &o, e);
}

int
eval_from_file(struct metrics *m, const char *path, const char *positive, const double *betas, size_t n_betas,
	struct err *e)
{
	struct predictions p;
	*m = (struct metrics){0};
	int rc = predictions_read(&p, path, e);
	if (rc == 0)
		rc = compute(m, &p, strcmp(path, "-") == 0 ? "standard input" : path, positive, betas, n_betas, e);
	predictions_release(&p);
	return rc;
}

void
eval_print(const struct metrics *m, bool json)
{
	if (!json) {
		metrics_print(stdout, m);
		return;
	}
	json_t *o = metrics_json(m);
	json_dumpf(o, stdout, JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(o);
}
