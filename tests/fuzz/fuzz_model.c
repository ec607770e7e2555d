/* A model directory as a whole: config.json and weights. What opens is run over a few tokens. The first byte chooses
 * whether it is quantised. */
#include "fuzz.h"
#include "model/model.h"

enum { T = 3 };

static void
run(struct model *m)
{
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct model m = {0};
	struct err e;
	int bits = 4 * (int)(fuzz_byte(&rest) % 3);
	fuzz_file("config.json", fuzz_part(&rest));
	fuzz_file("model.safetensors", rest);
	if (model_open(&m, fuzz_dir(), &(struct model_options){.bits = bits}, &e) == 0) {
		run(&m);
		model_release(&m);
	}
	fuzz_clear();
	return 0;
}
