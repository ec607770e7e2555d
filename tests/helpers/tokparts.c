/* tokparts FILE.jsonl: replays what the tokenizers library made of many small tokenizer.json files, each one base
 * vocabulary with other components (tests/reference/tokenizer-parts.md). Prints what differs and what is refused;
 * exit status 1 when a case differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "text/tokenizer.h"

struct replay {
	json_t *texts, *bases;
	char path[4096];  /* where each tokenizer.json is written */
	size_t tokenizers, cases, different, refused;
};

/* ---- one tokenizer.json ---- */

/* The base with the members of "model" and "set" put into it. */
static json_t *
build(const struct replay *r, const json_t *o)
{
	json_t *j = json_deep_copy(json_object_get(r->bases, json_string_value(json_object_get(o, "base"))));
	json_object_update(json_object_get(j, "model"), json_object_get(o, "model"));
	json_object_update(j, json_object_get(o, "set"));
	return j;
}

static struct tokenizer *
load(const struct replay *r, const json_t *o, struct err *e)
{
	json_t *j = build(r, o);
	if (!j || json_dump_file(j, r->path, JSON_COMPACT) < 0)
		die(&(struct err){ERR_CANTCREAT, "the tokenizer.json cannot be written"});
	json_decref(j);
	return tokenizer_open(r->path, e);
}

static bool
same_ids(const struct ids *ids, const json_t *want)
{
	bool same = ids->n == json_array_size(want);
	for (size_t i = 0; same && i < ids->n; i++)
		same = ids->v[i] == json_integer_value(json_array_get(want, i));
	return same;
}

static void
tell(const struct ids *ids, const json_t *want)
{
	char *text = json_dumps(want, JSON_COMPACT);
	printf("    expected %s\n    found    [", text ? text : "nothing");
	for (size_t i = 0; i < ids->n; i++)
		printf("%s%d", i ? "," : "", ids->v[i]);
	printf("]\n");
	free(text);
}

static bool
encodes(struct encoder *enc, const json_t *text, const json_t *want, bool special, struct ids *ids)
{
	struct err e;
	ids->n = 0;
	if (encoder_encode(enc, json_string_value(text), json_string_length(text), special, ids, &e) < 0) {
		printf("    %s\n", e.msg);
		return false;
	}
	if (same_ids(ids, want))
		return true;
	tell(ids, want);
	return false;
}

static bool
decodes(const struct tokenizer *t, const json_t *ids, bool skip_special, const json_t *want)
{
	struct buf b = {0};
	struct ids list = {0};
	for (size_t i = 0; i < json_array_size(ids); i++)
		ids_push(&list, (int32_t)json_integer_value(json_array_get(ids, i)));
	tokenizer_decode(t, list.v, list.n, skip_special, &b);
	bool same = b.len == json_string_length(want) &&
		(b.len == 0 || memcmp(b.data, json_string_value(want), b.len) == 0);
	if (!same)
		printf("    decodes to '%.*s'\n    and not to '%s'\n", (int)b.len, b.data ? b.data : "",
			json_string_value(want));
	buf_release(&b);
	ids_release(&list);
	return same;
}

/* "ids" with special tokens, "bare" without when they differ, "d" decoded, "ds" without special tokens. A text that
 * the library fails on ("error") needs no answer. */
static bool
check_case(const struct replay *r, const struct tokenizer *t, struct encoder *enc, const json_t *c, struct ids *ids)
{
	const json_t *text = json_array_get(r->texts, (size_t)json_integer_value(json_object_get(c, "t")));
	const json_t *full = json_object_get(c, "ids"), *bare = json_object_get(c, "bare"),
		     *d = json_object_get(c, "d"), *ds = json_object_get(c, "ds");
	if (json_object_get(c, "error"))
		return true;
	bool same = encodes(enc, text, full, true, ids);
	same = encodes(enc, text, bare ? bare : full, false, ids) && same;
	same = decodes(t, full, false, d) && same;
	return decodes(t, full, true, ds ? ds : d) && same;
}

static void
replay_one(struct replay *r, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	struct err e;
	struct tokenizer *t = load(r, o, &e);
	r->tokenizers++;
	if (!t) {
		const char *refusal = strstr(e.msg, "': ");
		printf("%s: refused%s%s\n", name, json_object_get(o, "error") ? " (by the library, too)" : "",
			refusal ? refusal + 1 : e.msg);
		r->refused += !json_object_get(o, "error");
		return;
	}
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0};
	const json_t *c;
	size_t i;
	json_array_foreach(json_object_get(o, "cases"), i, c) {
		r->cases++;
		if (check_case(r, t, enc, c, &ids))
			continue;
		r->different++;
		char *text = json_dumps(json_array_get(r->texts, (size_t)json_integer_value(json_object_get(c, "t"))),
			JSON_ENCODE_ANY);
		printf("%s: differs on %s\n", name, text ? text : "");
		free(text);
	}
	ids_release(&ids);
	encoder_free(enc);
	tokenizer_free(t);
}

static void
replay_line(struct replay *r, json_t *o)
{
	if (json_object_get(o, "texts"))
		r->texts = json_incref(json_object_get(o, "texts"));
	else if (json_object_get(o, "json"))
		json_object_set(r->bases, json_string_value(json_object_get(o, "base")), json_object_get(o, "json"));
	else
		replay_one(r, o);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct in in;
	struct replay r = {.bases = json_object()};
	const char *line, *tmp = getenv("TMPDIR");
	size_t n;
	int rc;
	log_tool = "tokparts";
	if (argc != 2)
		die_usage("usage: tokparts FILE.jsonl");
	snprintf(r.path, sizeof r.path, "%s/tokparts-XXXXXX", tmp ? tmp : "/tmp");
	int fd = mkstemp(r.path);
	if (fd < 0 || in_open_unpacked(&in, argv[1], &e) < 0)
		die(&e);
	close(fd);
	while ((rc = in_line(&in, 1 << 26, &line, &n, &e)) > 0) {
		json_t *o = json_read(argv[1], line, n, &e);
		if (!o)
			die(&e);
		replay_line(&r, o);
		json_decref(o);
	}
	if (rc < 0)
		die(&e);
	in_close(&in);
	unlink(r.path);
	json_decref(r.texts);
	json_decref(r.bases);
	printf("%zu tokenizers, %zu refused; %zu of %zu cases differ\n", r.tokenizers, r.refused, r.different, r.cases);
	return r.different || !r.cases;
}
