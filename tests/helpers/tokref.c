/* tokref [-s] TOKENIZER REFERENCE...: replays reference files (JSON lines, or a JSON list) through a tokenizer
 * and tells how many cases differ. Each case has "text", "decoded", and ids under "ids" or "input_ids"
 * (with special tokens), "ids_no_special" or "no_special". With -s a case has "text" and "ids" without
 * special tokens, and the text itself is what they decode to: sentencepiece without a normalizer. Exit status 1 when any differs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "text/tokenizer.h"

struct check {
	const struct tokenizer *t;
	struct encoder *enc;
	const char *file;
	bool spm;
	size_t cases, different;
	struct ids ids;
	struct buf text;
};

static void
print_ids(const char *what, const struct ids *ids)
{
	printf("  %s:", what);
	for (size_t i = 0; i < ids->n && i < 40; i++)
		printf(" %d", ids->v[i]);
	printf("\n");
}

/* Whether encoding gives the ids of the list; what it gave is left in c->ids. */
static bool
encodes(struct check *c, const json_t *text, const json_t *list, bool special)
{
	struct err e;
	struct ids want = {0};
	const json_t *id;
	size_t i;
	c->ids.n = 0;
	if (encoder_encode(c->enc, json_string_value(text), json_string_length(text), special, &c->ids, &e) <
		0)
		die(&e);
	json_array_foreach(list, i, id)
		ids_push(&want, (int32_t)json_integer_value(id));
	bool same = json_is_array(list) && want.n == c->ids.n &&
		(!want.n || !memcmp(want.v, c->ids.v, want.n * sizeof *want.v));
	if (!same) {
		print_ids("expected", &want);
		print_ids("found   ", &c->ids);
	}
	ids_release(&want);
	return same;
}

static bool
decodes(struct check *c, const json_t *want)
{
	buf_clear(&c->text);
	tokenizer_decode(c->t, c->ids.v, c->ids.n, false, &c->text);
	if (json_is_string(want) && c->text.len == json_string_length(want) &&
		!memcmp(c->text.data, json_string_value(want), c->text.len))
		return true;
	printf("  decoded: '%s'\n", c->text.data);
	return false;
}

static const json_t *
either(const json_t *o, const char *a, const char *b)
{
	const json_t *v = json_object_get(o, a);
	return v ? v : json_object_get(o, b);
}

static void
check_case(struct check *c, const json_t *o)
{
	const json_t *text = json_object_get(o, "text");
	bool ids = c->spm || encodes(c, text, either(o, "ids", "input_ids"), true);
	bool bare = encodes(c, text, c->spm ? json_object_get(o, "ids") : either(o, "ids_no_special", "no_special"), false);
	bool decoded = decodes(c, c->spm ? text : json_object_get(o, "decoded"));
	c->cases++;
	if (ids && bare && decoded)
		return;
	c->different++;
	printf("%s: case %zu differs: '%s'\n", c->file, c->cases, json_string_value(text));
}

static void
check_lines(struct check *c)
{
	struct err e;
	struct in in;
	const char *line;
	size_t n;
	int rc;
	if (in_open(&in, c->file, &e) < 0)
		die(&e);
	while ((rc = in_line(&in, 1 << 26, &line, &n, &e)) > 0) {
		json_t *o = json_read(c->file, line, n, &e);
		if (!o)
			die(&e);
		check_case(c, o);
		json_decref(o);
	}
	if (rc < 0)
		die(&e);
	in_close(&in);
}

static void
check_list(struct check *c)
{
	struct err e;
	json_t *list = json_read_file(c->file, (size_t)1 << 30, &e);
	const json_t *o;
	size_t i;
	if (!list)
		die(&e);
	json_array_foreach(list, i, o)
		check_case(c, o);
	json_decref(list);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct check c = {0};
	log_tool = "tokref";
	c.spm = argc > 1 && !strcmp(argv[1], "-s");
	argv += c.spm;
	argc -= c.spm;
	if (argc < 3)
		die_usage("usage: tokref [-s] TOKENIZER REFERENCE...");
	struct tokenizer *t = tokenizer_open(argv[1], &e);
	if (!t)
		die(&e);
	c.t = t;
	c.enc = encoder_new(t);
	for (int i = 2; i < argc; i++) {
		size_t n = strlen(argv[i]);
		c.file = argv[i];
		if (n > 6 && !strcmp(argv[i] + n - 6, ".jsonl"))
			check_lines(&c);
		else
			check_list(&c);
	}
	printf("%s: %zu of %zu cases differ\n", argv[1], c.different, c.cases);
	encoder_free(c.enc);
	tokenizer_free(t);
	ids_release(&c.ids);
	buf_release(&c.text);
	return c.different || !c.cases;
}
