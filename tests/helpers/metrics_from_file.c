/* metrics_from_file PREDICTIONS [POSITIVE_CLASS [BETA...]]: prints the figures as JSON, as hone-eval
 * --metrics PREDICTIONS --json does, from the same source. With -t first: the table. */
#include <stdlib.h>
#include <string.h>

#include "../../tools/eval/from_file.c"
#include "base/log.h"

enum { BETAS_MAX = 32 };

int
main(int argc, char **argv)
{
	log_tool = "metrics_from_file";
	bool table = argc > 1 && strcmp(argv[1], "-t") == 0;
	argv += table;
	argc -= table;
	if (argc < 2 || argc > 3 + BETAS_MAX)
		die_usage("a predictions file is wanted, then a positive class, then betas");
	double betas[BETAS_MAX];
	int n = 0;
	for (int i = 3; i < argc; i++)
		betas[n++] = strtod(argv[i], NULL);
	struct err e;
	struct metrics m;
	if (eval_from_file(&m, argv[1], argc > 2 ? argv[2] : NULL, betas, (size_t)n, &e) < 0)
		die(&e);
	eval_print(&m, !table);
	metrics_release(&m);
	tool_exit(0);
}
