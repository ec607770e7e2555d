/* tokenize_stages TOKENIZER FILE.jsonl: what the stages of `hone-tokenize --format text` take by themselves, on one
 * thread, in seconds of processor time, as a JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "fmt/tokens.h"
#include "text/fields.h"
#include "text/tokenizer.h"

static double
seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Strings one behind the other, and where each ends. */
struct texts {
	struct buf all;
	size_t *end, n, cap;
};

static void
add_text(struct texts *x, const char *p, size_t n)
{
	buf_append(&x->all, p, n);
	GROW(x->end, x->cap, x->n + 1);
	x->end[x->n++] = x->all.len;
}

static const char *
text_at(const struct texts *x, size_t i, size_t *n)
{
	size_t start = i ? x->end[i - 1] : 0;
	*n = x->end[i] - start;
	return x->all.data + start;
}

static void
read_lines(const char *path, struct texts *lines)
{
	struct err e;
	struct in in;
	const char *line;
	size_t n;
	int rc;
	if (in_open(&in, path, &e) < 0)
		die(&e);
	while ((rc = in_line(&in, 1 << 28, &line, &n, &e)) > 0)
		add_text(lines, line, n);
	if (rc < 0)
		die(&e);
	in_close(&in);
}

static void
parse(const struct texts *lines, struct texts *texts)
{
	struct fields fields = {0};
	for (size_t i = 0; i < lines->n; i++) {
		size_t n;
		const char *p = text_at(lines, i, &n);
		const struct field *text = fields_read(&fields, p, n) ? fields_get(&fields, "text") : NULL;
		if (!text)
			die_usage("line %zu is not {\"text\": \"...\"}", i + 1);
		add_text(texts, text->value, text->n);
	}
	fields_release(&fields);
}

static size_t *
encode(const struct tokenizer *t, const struct texts *texts, struct ids *ids)
{
	struct encoder *enc = encoder_new(t);
	size_t *end = xcalloc(texts->n + 1, sizeof *end);
	for (size_t i = 0; i < texts->n; i++) {
		struct err e;
		size_t n;
		const char *p = text_at(texts, i, &n);
		if (encoder_encode_valid(enc, p, n, true, ids, &e) < 0)
			die(&e);
		end[i] = ids->n;
	}
	encoder_free(enc);
	return end;
}

static void
write_all(const struct ids *ids, const size_t *end, size_t n)
{
	struct err e;
	struct out out;
	json_t *header = json_object();
	if (out_open(&out, "-", true, &e) < 0)
		die(&e);
	struct tokens_writer *w = tokens_create(&out, header, false);
	for (size_t i = 0, start = 0; i < n; start = end[i++]) {
		struct span span = {(uint32_t)(end[i] - start), 1};
		struct example x = {.ids = ids->v + start, .n = span.n, .spans = &span, .n_spans = 1, .line = i + 1};
		tokens_write(w, &x);
	}
	tokens_finish(w, NULL);
	if (out_commit(&out, &e) < 0)
		die(&e);
	json_decref(header);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct texts lines = {0}, texts = {0};
	struct ids ids = {0};
	log_tool = "tokenize_stages";
	if (argc != 3)
		die_usage("usage: tokenize_stages TOKENIZER FILE.jsonl >/dev/null");
	double t0 = seconds();
	struct tokenizer *t = tokenizer_open(argv[1], &e);
	if (!t)
		die(&e);
	double t1 = seconds();
	read_lines(argv[2], &lines);
	double t2 = seconds();
	parse(&lines, &texts);
	double t3 = seconds();
	size_t *end = encode(t, &texts, &ids);
	double t4 = seconds();
	write_all(&ids, end, texts.n);
	double t5 = seconds();
	fprintf(stderr,
		"{\"text_bytes\": %zu, \"tokens\": %zu, \"load\": %.4f, \"read\": %.4f, \"json\": %.4f, "
		"\"encode\": %.4f, \"write\": %.4f}\n",
		texts.all.len, ids.n, t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4);
	tokenizer_free(t);
	ids_release(&ids);
	free(end);
	free(lines.end);
	free(texts.end);
	buf_release(&lines.all);
	buf_release(&texts.all);
	return 0;
}
