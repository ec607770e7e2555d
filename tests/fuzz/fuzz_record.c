/* A line of training data in every form: parsed to an example, and to a prompt. The first two bytes choose options. */
#include "fuzz.h"
#include "text/record.h"

static struct record_options
options(unsigned a, unsigned b)
{
	return (struct record_options){.format = (enum record_format)(a % 7),
		.train_on = (enum record_train_on)(a / 7 % 3),
		.overlong = (enum record_overlong)(b % 3),
		.max_length = b & 4 ? 16 : 4096,
		.prompt_loss_weight = b & 8 ? 0.5 : 0,
		.no_eos = b & 16,
		.no_special = b & 32,
		.allow_empty = b & 64,
		.tokenizer = fuzz_tokenizer(),
		.template = fuzz_template()};
}

static void
check(const struct example *x, uint32_t max_length)
{
	uint32_t covered = 0;
	FUZZ_CHECK(x->completion <= x->n && (!max_length || x->n <= max_length));
	for (uint32_t i = 0; i < x->n_spans; i++)
		covered += x->spans[i].n;
	FUZZ_CHECK(covered == x->n);
	for (uint32_t i = 0; i < x->n; i++)
		FUZZ_CHECK(x->ids[i] >= 0 && (size_t)x->ids[i] < tokenizer_vocab_size(fuzz_tokenizer()));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned a = fuzz_byte(&rest), b = fuzz_byte(&rest);
	struct record_options opt = options(a, b);
	struct err e;
	struct example x;
	const int32_t *ids;
	size_t n;
	char *line = fuzz_copy(rest);
	struct record_maker *m = record_maker_new(&opt, &e);
	FUZZ_CHECK(m);
	int verdict = record_parse(m, line, rest.n, 1, &x, &e);
	if (verdict == RECORD_WHOLE || verdict == RECORD_CUT)
		check(&x, opt.max_length);
	record_remarks(m);
	record_prompt(m, line, rest.n, 1, &ids, &n, &e);
	record_maker_free(m);
	free(line);
	return 0;
}
