/* turns MODEL TEMPLATE FILE.jsonl [TRAIN_ON]: prints every record's text as its tokens say it, targets
 * between « and ». TEMPLATE "" is the model's own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "text/records.h"

static const struct tokenizer *tokenizer;

static int
print_example(void *arg, const struct example *x, const struct records_counts *so_far, struct err *e)
{
	struct buf b = {0};
	(void)arg, (void)so_far, (void)e;
	for (uint32_t i = 0, at = 0; i < x->n_spans; at += x->spans[i++].n) {
		buf_puts(&b, x->spans[i].weight > 0 ? "«" : "");
		tokenizer_decode(tokenizer, x->ids + at, x->spans[i].n, false, &b);
		buf_puts(&b, x->spans[i].weight > 0 ? "»" : "");
	}
	printf("%s\n---\n", b.data);
	buf_release(&b);
	return 0;
}

int
main(int argc, char **argv)
{
	struct err e;
	struct template t;
	struct records_counts counts;
	log_tool = "turns";
	if (argc != 4 && argc != 5)
		die_usage("three or four arguments are wanted");
	struct tokenizer *tok = tokenizer_open(argv[1], &e);
	if (!tok || template_open(&t, argv[1], *argv[2] ? argv[2] : NULL, &e) < 0)
		die(&e);
	tokenizer = tok;
	int train_on = argc == 5 ? record_train_on_named(argv[4]) : TRAIN_ON_ASSISTANT;
	struct record_options opt = {
		.tokenizer = tok, .template = &t, .train_on = (enum record_train_on)train_on};
	struct records_sink sink = {.example = print_example};
	const char *const files[] = {argv[3]};
	if (train_on < 0 || records_tokenize(files, 1, &opt, false, 2, &sink, &counts, &e) < 0)
		die(&e);
	template_close(&t);
	tokenizer_free(tok);
	tool_exit(0);
}
