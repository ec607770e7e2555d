/* Options out of a file: when the first byte is odd --config FILE.json, else the words of an @FILE. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/opt.h"
#include "fuzz.h"

static bool flag;
static int number;
static int64_t bytes;
static double real;
static const char *string, *choice = "one";
static struct opt_list list;

static const struct opt opts[] = {
	{OPT_FLAG, 'f', "flag", &flag, NULL, "a flag"},
	{OPT_INT, 'n', "number", &number, "N", "a number", 0, 1000},
	{OPT_SIZE, 0, "bytes", &bytes, "SIZE", "a size"},
	{OPT_DOUBLE, 0, "real", &real, "X", "a real", -1, 1},
	{OPT_STRING, 's', "string", &string, "TEXT", "a text"},
	{OPT_ENUM, 0, "choice", &choice, "one|two", "one of two"},
	{OPT_LIST, 'l', "list", &list, "ITEM", "items"},
	{0},
};
static const struct opt_alias aliases[] = {{"old-number", "number", NULL}, {"gone", NULL, "it is gone"}, {0}};
static const struct opt_spec spec = {"fuzz", "[FILE...]", "a tool", NULL, opts, 0, -1, NULL, aliases};

/* What settings point to lives as long as the process, and is lost here. */
static void
parse(void *arg)
{
	struct opt_list operands = {0};
	char *argv[] = {"fuzz", arg, NULL};
	opt_parse(&spec, 2, argv, &operands);
	json_decref(opt_settings(&spec));
	free(operands.item);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	bool config = fuzz_byte(&rest) & 1;
	char *text = fuzz_copy(rest);
	bool help =
		memmem(text, rest.n, "-h", 2) || memmem(text, rest.n, "help", 4) || memmem(text, rest.n, "version", 7);
	free(text);
	if (help) /* these stay switched on */
		return -1;
	const char *path = fuzz_file("options", rest);
	static char arg[256]; /* as argv, it is there when settings are looked at */
	snprintf(arg, sizeof arg, config ? "--config=%s" : "@%s", path);
	flag = false, number = 0, bytes = 0, real = 0, string = NULL, choice = "one", list = (struct opt_list){0};
	fuzz_catch_exit(parse, arg);
	fuzz_clear();
	return 0;
}
