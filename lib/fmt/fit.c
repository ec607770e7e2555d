#include "fmt/fit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum fit_policy
fit_policy(const char *name)
{
	static const char *const names[] = {"error", "drop", "truncate", "split"};
	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum fit_policy)i;
	return FIT_SPLIT;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The window of an overlong example that is kept. The first completion token needs one before it to be
 * predicted from, so that much of the prompt stays. */
static void
truncate_window(struct fit *f)
{
	const struct example *x = &f->x;
	if (x->completion)
		f->at = least(x->n - f->context, x->completion - 1);
	f->end = f->at + f->context;
}

int
fit_begin(struct fit *f, const struct example *x, struct err *e)
{
	f->x = *x;
	f->at = 0;
	f->end = f->piece = x->n;
	f->given = 0;
	if (f->context == 0 || x->n <= f->context)
		return 0;
	if (f->policy == FIT_ERROR)
		return err_set(e, ERR_DATA, "it has %u tokens, and the context is %u: --overlong drop, truncate or split says what becomes of such",
			x->n, f->context);
	f->overlong++;
	f->piece = f->context;
	if (f->policy == FIT_TRUNCATE)
		truncate_window(f);
	if (f->policy == FIT_DROP)
		f->at = f->end;
	if (f->policy == FIT_SPLIT)
		f->x.label = NULL;
	GROW(f->spans, f->spans_cap, x->n_spans);
	return 0;
}

bool
fit_next(struct fit *f, struct example *piece)
{
	bool whole = f->piece == f->x.n;
	while (f->at < f->end) {
		uint32_t from = f->at;
		f->at = f->end - from > f->piece ? from + f->piece : f->end;
		*piece = whole ? f->x : example_slice(&f->x, from, f->at, f->spans);
		if (whole || example_targets(piece)) {
			f->given++;
			return true;
		}
	}
	if (!whole && !f->given) {
		f->dropped++;
		f->given++;  /* a further call counts nothing */
	}
	return false;
}

void
fit_release(struct fit *f)
{
	free(f->spans);
	f->spans = NULL;
	f->spans_cap = 0;
}
