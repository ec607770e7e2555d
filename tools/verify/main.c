/* hone-verify: whether what hone has written is still what it was, and where it is from. */
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/plain.h"
#include "verify.h"

static bool show, json;

static const struct opt options[] = {
	{OPT_FLAG, 0, "show", &show, NULL, "also what made each, with which settings, and out of what"},
	{OPT_FLAG, 0, "json", &json, NULL, "print a JSON object for each instead"},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-verify",
	.operands = "PATH...",
	.summary = "Checks datasets, token streams, runs, checkpoints, adapters, models, predictions, figures and reports against\n"
		   "the hashes that they carry. A directory that holds several is gone through. - is a token stream on standard\n"
		   "input. -q prints only what is damaged; status 65 when anything is.",
	.epilog = "Examples:\n"
		  "  hone-verify run\n"
		  "  hone-verify --show merged\n"
		  "  hone-tokenize -m MODEL train.jsonl | hone-verify -\n",
	.opts = options,
	.min_operands = 1,
	.max_operands = -1,
};

/* ---- telling ---- */

/* What is missing or wrong within a thing is damage; a disk that cannot be read is not. */
static bool
is_damage(const struct err *e)
{
	bool missing = e->code == ERR_NOINPUT && (e->sys == 0 || e->sys == ENOENT || e->sys == ENOTDIR || e->sys == ELOOP);
	return missing || e->code == ERR_DATA || e->code == ERR_NO || e->code == ERR_CONFIG;
}

/* A path, a message may have bytes that are no UTF-8, which JSON cannot hold. */
static json_t *
text_json(const char *text)
{
	json_t *s = json_string(text);
	if (s)
		return s;
	struct buf b = {0};
	buf_plain(&b, text);
	s = json_string(b.data);
	buf_release(&b);
	return s;
}

static void
print_json(const struct thing *t, int rc, const struct err *e)
{
	json_t *o = json_pack("{s:o, s:s, s:b, s:I, s:o, s:o, s:O?}", "path", text_json(t->path), "kind", t->kind, "ok", rc == 0,
		"hashes", (json_int_t)t->hashes, "detail", t->detail.data ? text_json(t->detail.data) : json_null(), "damage",
		rc < 0 ? text_json(e->msg) : json_null(), "provenance", t->provenance);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(o);
}

static void
print_text(const struct thing *t, int rc, const struct err *e)
{
	if (rc == 0 && log_level == 0)
		return;
	plain_put(stdout, t->path);
	if (rc < 0) {
		fputs(": damaged: ", stdout);
		plain_put(stdout, e->msg);
		putchar('\n');
		return;
	}
	printf(": ok: %s", t->kind);
	if (t->detail.len) {
		fputs(", ", stdout);
		plain_put(stdout, t->detail.data);
	}
	if (t->hashes > 0)
		printf(" (%ld hash%s)\n", t->hashes, t->hashes > 1 ? "es" : "");
	else
		puts(" (structure only: it carries no hashes of hone)");
}

static void
tell(void *ctx, const struct thing *t, int rc, struct err *e)
{
	int *status = ctx;
	if (rc < 0 && !is_damage(e)) {
		log_error("%s", e->msg);
		if (*status == 0)
			*status = e->code;
		return;
	}
	if (json)
		print_json(t, rc, e);
	else
		print_text(t, rc, e);
	if (show && !json && t->provenance && (rc < 0 || log_level > 0))
		show_provenance(t->provenance);
	if (rc < 0)
		*status = ERR_DATA;
}

static void
verify(const char *path, int *status)
{
	struct err e;
	long n = verify_path(path, tell, status, &e);
	if (n == 0)
		err_set(&e, ERR_DATA, "'%s' is, or holds, nothing that hone writes or reads", path);
	if (n > 0)
		return;
	log_error("%s", e.msg);
	if (*status == 0)
		*status = e.code;
}

int
main(int argc, char **argv)
{
	struct opt_list paths;
	int status = 0;
	opt_parse(&spec, argc, argv, &paths);
	omp_set_num_threads(threads_wanted(opt_threads));
	for (size_t i = 0; i < paths.n; i++)
		verify(paths.item[i], &status);
	free(paths.item);
	tool_exit(status);
}
