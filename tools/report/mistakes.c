/* The mistakes of which a model was the surest, with their text: that of the validation data, if these are still there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/dataset.h"
#include "report.h"
#include "text/tokenizer.h"

enum { TEXT_SHOWN = 600 };  /* bytes of an example, about */

/* ---- where the text is ---- */

struct texts {
	struct dataset *data;
	struct tokenizer *tokenizer;
};

/* The first of these tokenizers that can be opened and that the data were made with. */
static struct tokenizer *
find_tokenizer(const struct run *r, const struct dataset *d)
{
	struct err ignored;
	char *final = path_join(r->path, "final"), *best = path_join(r->path, "best");
	const char *const places[] = {final, best, run_text(r, "base", "path")};
	struct tokenizer *found = NULL;
	for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) {
		struct tokenizer *t = places[i] ? tokenizer_open(places[i], &ignored) : NULL;
		const char *made_with = dataset_tokenizer(d);
		if (t && made_with && strcmp(tokenizer_fingerprint(t), made_with) == 0)
			found = t;
		else
			tokenizer_free(t);
	}
	free(final);
	free(best);
	return found;
}

/* The dataset that the run was validated on: its own, or the one that run.json names, unless it is another by now. */
static struct dataset *
find_data(const struct run *r)
{
	struct err ignored;
	const json_t *v = json_object_get(json_object_get(r->info, "data"), "validation");
	const char *path = json_string_value(json_object_get(v, "path"));
	const char *fingerprint = json_string_value(json_object_get(v, "fingerprint"));
	char *own = path_join(r->path, "data-validation");
	const char *from = path_is_dir(own) ? own : path;
	struct dataset *d = from && fingerprint && path_is_dir(from) ? dataset_open(from, &ignored) : NULL;
	if (d && strcmp(dataset_fingerprint(d), fingerprint) != 0) {
		dataset_close(d);
		d = NULL;
	}
	free(own);
	return d;
}

static void
texts_open(struct texts *t, const struct run *r)
{
	*t = (struct texts){.data = find_data(r)};
	if (t->data && !(t->tokenizer = find_tokenizer(r, t->data))) {
		dataset_close(t->data);
		t->data = NULL;
	}
}

static void
texts_close(struct texts *t)
{
	if (t->data)
		dataset_close(t->data);
	tokenizer_free(t->tokenizer);
}

/* ---- a text ---- */

/* White space, and the separator that records of text and label have, at the end. */
static size_t
without_end(const char *p, size_t n)
{
	static const char separator[] = "###";
	for (int pass = 0; pass < 2; pass++) {
		while (n && strchr(" \t\r\n", p[n - 1]))
			n--;
		if (pass == 0 && n >= 3 && memcmp(p + n - 3, separator, 3) == 0)
			n -= 3;
	}
	return n;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* A long text loses its middle: what a prompt is about is at one of its ends. */
static void
put_shortened(struct buf *b, const char *p, size_t n)
{
	while (n && strchr(" \t\r\n", *p))
		p++, n--;
	n = without_end(p, n);
	if (n <= TEXT_SHOWN) {
		put_text_n(b, p, n);
		return;
	}
	size_t head = TEXT_SHOWN / 2, tail = n - TEXT_SHOWN / 2;
	while (head && is_continuation(p[head]))
		head--;
	while (tail < n && is_continuation(p[tail]))
		tail++;
	put_text_n(b, p, head);
	buf_puts(b, "<span class=\"dim\"> \xe2\x80\xa6 </span>");
	put_text_n(b, p + tail, n - tail);
}

/* Rows stand in the order of the dataset's examples; the line tells whether it is the same one. */
static void
put_prompt(struct buf *b, const struct texts *t, const struct predictions *p, size_t row)
{
	struct example x;
	struct err ignored;
	struct buf text = {0};
	bool there = t->data && row < dataset_count(t->data) && dataset_read(t->data, row, &x, &ignored) == 0 &&
		(p->row[row].line == 0 || (uint64_t)p->row[row].line == x.line);
	if (!there) {
		buf_puts(b, "<span class=\"dim\">\xe2\x80\x93</span>");
		return;
	}
	tokenizer_decode(t->tokenizer, x.ids, x.completion ? x.completion : x.n, true, &text);
	if (text.len)
		put_shortened(b, text.data, text.len);
	buf_release(&text);
}

/* ---- the mistakes ---- */

struct mistake {
	size_t row;
	double p;
};

static int
by_confidence(const void *a, const void *b)
{
	const struct mistake *x = a, *y = b;
	if (x->p != y->p)
		return x->p < y->p ? 1 : -1;
	return (x->row > y->row) - (x->row < y->row);
}

static size_t
find_mistakes(struct mistake **found, const struct predictions *p)
{
	struct mistake *v = xcalloc(p->n, sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct prediction *r = &p->row[i];
		if (r->label >= 0 && r->prediction >= 0 && r->label != r->prediction && r->n_scores)
			v[n++] = (struct mistake){i, predictions_score(p, i, r->prediction)};
	}
	qsort(v, n, sizeof *v, by_confidence);
	*found = v;
	return n;
}

static void
put_class(struct buf *b, const struct predictions *p, size_t row, int class, const char *kind)
{
	double v = predictions_score(p, row, class);
	buf_puts(b, "<td><span class=\"tag\">");
	put_text(b, p->name[class]);
	buf_printf(b, "</span></td><td class=\"bar%s\">", kind);
	put_figure(b, v);
	buf_printf(b, "<span style=\"--v:%.1f%%\"></span></td>", 100 * v);
}

static void
put_rows(struct buf *b, const struct texts *t, const struct predictions *p, const struct mistake *v, size_t n)
{
	buf_puts(b, "<div class=\"card scroll\"><table><tr><th class=\"n\">line</th><th>text</th><th>predicted</th><th></th>"
		"<th>label</th><th></th></tr>\n");
	for (size_t i = 0; i < n; i++) {
		const struct prediction *r = &p->row[v[i].row];
		buf_puts(b, "<tr><td class=\"n dim\">");
		put_count(b, r->line > 0 ? (double)r->line : NAN);
		buf_puts(b, "</td><td class=\"text\">");
		put_prompt(b, t, p, v[i].row);
		buf_puts(b, "</td>");
		put_class(b, p, v[i].row, r->prediction, " no");
		put_class(b, p, v[i].row, r->label, "");
		buf_puts(b, "</tr>\n");
	}
	buf_puts(b, "</table></div>\n");
}

void
put_mistakes(struct buf *b, const struct run *r, bool named, int limit)
{
	struct mistake *v;
	struct texts t;
	size_t n = find_mistakes(&v, &r->rows), shown = n < (size_t)limit ? n : (size_t)limit;
	if (shown) {
		texts_open(&t, r);
		buf_puts(b, "<section><h2>Most confident mistakes");
		if (named) {
			buf_puts(b, " \xc2\xb7 ");
			put_text(b, r->name);
		}
		buf_printf(b, "</h2>\n<p class=\"note\">%zu of %zu mistakes, with the probability that the model gave to its prediction and to "
			"the label.%s</p>\n", shown, n, t.data ? "" : " Their text is not shown: the validation data, or the tokenizer "
			"that they were made with, are not there any more.");
		put_rows(b, &t, &r->rows, v, shown);
		buf_puts(b, "</section>\n");
		texts_close(&t);
	}
	free(v);
}
