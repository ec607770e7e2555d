/* hone: `hone train ...` is `hone-train ...`; alone, it lists the programs and tells what to do first. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/opt.h"
#include "base/version.h"

/* In the order in which they are needed; tests/cli/hone.bats compares with what there is. */
static const struct {
	const char *name, *what;
} commands[] = {
	{"finetune", "all of it in one command: training data in, a fine-tuned model out"},
	{"prepare", "check and repair training data; CSV, TSV, JSON or text to JSON lines"},
	{"tokenize", "JSON lines to a token stream; --show prints what the model will see"},
	{"pack", "token streams to a dataset"},
	{"train", "a base model and data to an adapter, or to a trained model"},
	{"eval", "loss, accuracies and classification figures of a model"},
	{"report", "runs as a page with curves, settings and mistakes"},
	{"merge", "a base model and adapters to one model"},
	{"generate", "prompts to text"},
	{"verify", "whether what was written is still whole, and where it is from"},
	{"retrain", "every night: new data in, and the deployed model changed only for a better one"},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct opt options[] = {{0}};

static const struct opt_spec spec = {
	.tool = "hone",
	.operands = "",
	.opts = options,
	.max_operands = -1,
};

static void
list(void)
{
	printf("hone %s fine-tunes language models on a CPU.\n\nusage: hone COMMAND [ARGUMENT...]\n\n", hone_version);
	for (int i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].what);
	fputs("\nEach is a program of its own, too: hone train is hone-train. 'hone help COMMAND' prints its options.\n"
	      "\nWhat to do first, with a model's directory MODEL and JSON lines {\"prompt\", \"completion\"},\n"
	      "{\"messages\"}, {\"instruction\", \"output\"} or {\"text\"} in train.jsonl:\n\n"
	      "  hone tokenize -m MODEL --show -n 3 train.jsonl    what will be trained on\n"
	      "  hone finetune -m MODEL -t train.jsonl --dry-run   memory, steps and time\n"
	      "  hone finetune -m MODEL -t train.jsonl             train, evaluate, merge\n",
		stdout);
}

/* The directory that this program lies in, new; NULL when it cannot be told. */
static char *
own_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	return slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

/* Does not return when the program is there. */
static void
start(char *path, char **argv)
{
	argv[0] = path;
	execvp(path, argv);
	struct err e;
	if (errno != ENOENT) {
		err_sys(&e, ERR_NOINPUT, "cannot start '%s'", path);
		die(&e);
	}
	free(path);
}

/* Becomes the program hone-NAME: beside this one, in pipelines/ of the source tree, or on the PATH. */
static void
become(const char *name, char **argv)
{
	char *dir = own_dir();
	if (dir) {
		start(xasprintf("%s/hone-%s", dir, name), argv);
		start(xasprintf("%s/pipelines/hone-%s", dir, name), argv);
	}
	free(dir);
	start(xasprintf("hone-%s", name), argv);
}

_Noreturn static void
unknown(const char *name)
{
	struct near near;
	near_init(&near, name);
	for (int i = 0; i < N_COMMANDS; i++)
		near_try(&near, commands[i].name, NULL);
	near_try(&near, "help", NULL);
	if (*near.best)
		die_usage("unknown command '%s'; did you mean '%s'?", name, near.best);
	die_usage("unknown command '%s'", name);
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	log_tool = spec.tool;
	char *help[] = {argv[0], argc > 2 ? argv[2] : NULL, "-h", NULL};
	if (argc > 2 && strcmp(argv[1], "help") == 0)
		argv = help;
	const char *name = argc > 1 ? argv[1] : "help";
	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		list();
		tool_exit(0);
	}
	if (name[0] == '-') {
		opt_parse(&spec, argc, argv, &operands);
		die_usage("which command? 'hone' alone lists them");
	}
	if (!strchr(name, '/'))
		become(strncmp(name, "hone-", 5) == 0 ? name + 5 : name, argv + 1);
	unknown(name);
}
