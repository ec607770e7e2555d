/* Random weights in bf16 for a directory that holds a config.json. */
#include <stdio.h>

#include "math/gemm.h"
#include "model/model.h"

int
main(int argc, char **argv)
{
	struct model m;
	struct err e;
	if (argc != 2) {
		fputs("usage: make_model DIR\n", stderr);
		return ERR_USAGE;
	}
	math_set_threads(0);
	const struct model_options random = {.from_scratch = true, .seed = 1};
	if (model_open(&m, argv[1], &random, &e) < 0 || model_save_weights(&m, argv[1], false, ST_BF16, &e) < 0) {
		fprintf(stderr, "make_model: %s\n", e.msg);
		return e.code;
	}
	model_release(&m);
	return 0;
}
