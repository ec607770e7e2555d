/* What targets do with a model that opened. Here and not in fuzz.c, so that the others need no model library. */
#ifndef HONE_TESTS_FUZZ_RUN_H
#define HONE_TESTS_FUZZ_RUN_H

#include "model/model.h"

/* A pass over a few tokens. */
static void
fuzz_run(struct model *m)
{
	enum { T = 3 };
	int32_t ids[T], pos[T] = {0, 1, 2}, row = T - 1, best;
	float weight = 1, nll;
	struct attn_doc doc = {.n = T};
	for (int t = 0; t < T; t++)
		ids[t] = t % m->config.V;
	struct batch b = {.T = T,
		.ids = ids,
		.pos = pos,
		.docs = &doc,
		.n_docs = 1,
		.n_targets = 1,
		.target_row = &row,
		.target_id = ids,
		.target_weight = &weight};
	struct err e;
	if (model_check_length(m, T, &e) < 0)
		return;
	model_reserve(m, T, T, 0, KEEP_NOTHING);
	model_forward(m, &b);
	model_loss(m, &b, 0, &nll, &best);
}

#endif
