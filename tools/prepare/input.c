#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "prepare.h"
#include "text/unicode.h"

/* No file is larger, decompressed: a small one may stand for any number of bytes, and a pipe may never end. */
static const size_t input_max = (size_t)4 << 30;

static const char *const format_names[] = {"auto", "csv", "tsv", "json", "jsonl", "txt"};

const char *
input_format_name(enum input_format f)
{
	return format_names[f];
}

size_t
input_name_length(const char *name)
{
	static const char *const packed[] = {".gz", ".zst"};
	size_t n = strlen(name);
	for (int i = 0; i < 2; i++) {
		size_t k = strlen(packed[i]);
		if (n > k && strcmp(name + n - k, packed[i]) == 0)
			return n - k;
	}
	return n;
}

/* All bytes of the file, decompressed. */
static int
read_all(struct input *in, const char *path, struct err *e)
{
	struct in source;
	const uint8_t *p;
	long n;
	if (in_open_unpacked(&source, path, e) < 0)
		return -1;
	while ((n = in_peek(&source, &p, 1 << 16, e)) > 0 && in->data.len + (size_t)n <= input_max) {
		buf_append(&in->data, p, (size_t)n);
		source.pos += (size_t)n;
	}
	in_close(&source);
	return n > 0 ? err_set(e, ERR_DATA, "'%s': larger than 4 GiB", in->name) : (int)n;
}

static int
settle_format(struct input *in, const char *path, const char *asked, struct err *e)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	char *whole = xstrndup(base, input_name_length(base)), *dot = strrchr(whole, '.');
	const char *name = strcmp(asked, "auto") != 0 ? asked : dot ? dot + 1 : "";
	for (int i = INPUT_CSV; i <= INPUT_TXT; i++)
		if (strcasecmp(name, format_names[i]) == 0)
			in->format = (enum input_format)i;
	if (strcasecmp(name, "ndjson") == 0)
		in->format = INPUT_JSONL;
	free(whole);
	if (in->format == INPUT_AUTO)
		return err_set(e, ERR_USAGE,
			"'%s': the name does not tell the format; --format does (csv, tsv, json, jsonl or txt); a spreadsheet or a "
			"Parquet file is exported as one of these first", in->name);
	return 0;
}

/* ---- encodings ---- */

/* Converts the data; iconv stops at the first bytes that are not of the encoding. */
static int
convert(struct input *in, const char *encoding, struct err *e)
{
	iconv_t cd = iconv_open("UTF-8", encoding);
	if (cd == (iconv_t)-1 && errno != EINVAL)
		return err_sys(e, ERR_IO, "cannot set up the encoding '%s'", encoding);
	if (cd == (iconv_t)-1)
		return err_set(
			e, ERR_USAGE, "--encoding: '%s' is not known here; 'iconv -l' lists encodings", encoding);
	struct buf out = {0};
	char *from = in->data.data, part[1 << 14];
	size_t left = in->data.len;
	int rc = 0, failed = 0;
	while (rc == 0 && left > 0) {
		char *to = part;
		size_t room = sizeof part;
		failed = iconv(cd, &from, &left, &to, &room) == (size_t)-1 ? errno : 0;
		buf_append(&out, part, sizeof part - room);
		if (failed && failed != E2BIG)
			rc = err_set(e, ERR_DATA, "'%s': byte %zu begins nothing of the encoding '%s'", in->name,
				in->data.len - left, encoding);
	}
	iconv_close(cd);
	buf_release(&in->data);
	in->data = out;
	return rc;
}

static int
decode(struct input *in, const char *encoding, struct err *e)
{
	const char *p = in->data.data;
	bool utf16 = in->data.len >= 2 && (memcmp(p, "\xff\xfe", 2) == 0 || memcmp(p, "\xfe\xff", 2) == 0);
	if (!encoding && utf16)
		return err_set(e, ERR_DATA, "'%s': begins as UTF-16 does; --encoding UTF-16 reads it", in->name);
	if (encoding && convert(in, encoding, e) < 0)
		return -1;
	buf_append(&in->data, "", 0);
	in->bom = in->data.len >= 3 && memcmp(in->data.data, "\xef\xbb\xbf", 3) == 0;
	in->text = in->data.data + (in->bom ? 3 : 0);
	in->n = in->data.len - (in->bom ? 3 : 0);
	return 0;
}

/* Lines with bytes that are not UTF-8. */
static void
find_not_utf8(struct input *in, int file)
{
	size_t at = 0, counted = 0;
	uint64_t line = 1, last = 0;
	for (;;) {
		at += uni_check(in->text + at, in->n - at);
		if (at == in->n)
			return;
		for (; counted < at; counted++)
			line += in->text[counted] == '\n';
		if (line != last)
			tally_add(&in->not_utf8, file, line);
		last = line;
		at++;
	}
}

/* ---- lines of text ---- */

struct lines {
	const char *p, *end;
	uint64_t line; /* of the line returned last */
};

static bool
next_line(struct lines *l, const char **p, size_t *n)
{
	if (l->p == l->end)
		return false;
	const char *lf = memchr(l->p, '\n', (size_t)(l->end - l->p)), *stop = lf ? lf : l->end;
	*p = l->p;
	*n = (size_t)(stop - l->p);
	*n -= *n > 0 && stop[-1] == '\r';
	l->p = lf ? lf + 1 : l->end;
	l->line++;
	return true;
}

static int
each_line_of_text(const struct input *in, const struct input_sink *sink, struct err *e)
{
	struct lines l = {in->text, in->text + in->n, 0};
	struct csv_field field;
	int rc = 0;
	while (rc == 0 && next_line(&l, &field.p, &field.n)) {
		struct csv_row row = {l.line, &field, 1};
		struct record r = {.line = l.line, .cells = &row, .end = l.p};
		if (uni_leading_space(field.p, uni_check(field.p, field.n)) < field.n)
			rc = sink->record(sink->arg, &r, e);
	}
	return rc;
}

/* ---- separated values ---- */

static char
separator(const struct input *in)
{
	return in->format == INPUT_TSV ? '\t' : ',';
}

/* Reads all rows; the first is handed on as a record only without a header. */
static int
each_row(const struct input *in, const struct input_sink *sink, uint64_t *crlf, struct err *e)
{
	struct csv c;
	struct csv_row row;
	int rc;
	bool first = true;
	csv_init(&c, in->text, in->n, separator(in), in->quotes);
	while ((rc = csv_next(&c, &row, e)) > 0) {
		struct record r = {.line = row.line, .cells = &row, .end = c.p};
		if (sink && !(first && in->header) && sink->record(sink->arg, &r, e) < 0) {
			rc = -2;
			break;
		}
		first = false;
	}
	if (rc == -1)
		err_prefix(e, "'%s': ", in->name);
	if (crlf)
		*crlf = c.crlf;
	csv_release(&c);
	return rc < 0 ? -1 : 0;
}

/* CSV has quotes. TSV has them if that makes sense of the whole file; in many files a quote is a character. */
static int
settle_quotes(struct input *in, const char *asked, struct err *e)
{
	in->quotes = strcmp(asked, "no") != 0;
	if (each_row(in, NULL, &in->crlf, e) == 0)
		return 0;
	if (strcmp(asked, "auto") != 0 || in->format != INPUT_TSV) {
		struct err why = *e;
		return err_set(
			e, why.code, "%s%s", why.msg, in->quotes ? "; --quotes no reads quotes as characters" : "");
	}
	in->quotes = false;
	in->literal_quotes = true;
	return each_row(in, NULL, &in->crlf, e);
}

static void
name_columns(struct input *in, const struct csv_row *row)
{
	in->more_columns = row->n > COLUMNS_MAX;
	in->columns = row->n < COLUMNS_MAX ? row->n : COLUMNS_MAX;
	for (size_t i = 0; i < in->columns; i++)
		in->column[i] = in->header ? xstrndup(row->field[i].p, row->field[i].n) : xasprintf("%zu", i + 1);
}

static int
settle_header(struct input *in, const struct options *opt, struct err *e)
{
	struct csv c;
	struct csv_row row;
	csv_init(&c, in->text, in->n, separator(in), in->quotes);
	int rc = csv_next(&c, &row, e);
	if (rc > 0) {
		in->header = strcmp(opt->header, "yes") == 0 ||
			(strcmp(opt->header, "auto") == 0 && columns_known(&row, opt));
		name_columns(in, &row);
	}
	csv_release(&c);
	return rc < 0 ? -1 : 0;
}

/* ---- the interface ---- */

static int
settle(struct input *in, const struct options *opt, struct err *e)
{
	switch (in->format) {
	case INPUT_CSV:
	case INPUT_TSV:
		return settle_quotes(in, opt->quotes, e) < 0 ? -1 : settle_header(in, opt, e);
	case INPUT_TXT:
		in->column[in->columns++] = xstrdup("text");
		break;
	default:
		if (input_json_settle(in, e) < 0)
			return -1;
	}
	for (size_t i = 1; i < in->n && in->format != INPUT_JSON; i++)
		in->crlf += in->text[i] == '\n' && in->text[i - 1] == '\r';
	return 0;
}

int
input_open(struct input *in, const char *path, int file, const struct options *opt, struct err *e)
{
	*in = (struct input){.name = strcmp(path, "-") == 0 ? "standard input" : path};
	if (path_is_dir(path))
		return err_set(e, ERR_NOINPUT, "'%s' is a directory, a file is wanted", path);
	if (settle_format(in, path, opt->format, e) < 0 || read_all(in, path, e) < 0 ||
		decode(in, opt->encoding, e) < 0)
		return -1;
	find_not_utf8(in, file);
	return settle(in, opt, e);
}

void
input_close(struct input *in)
{
	for (size_t i = 0; i < in->columns; i++)
		free(in->column[i]);
	buf_release(&in->data);
	*in = (struct input){0};
}

int
input_each(const struct input *in, const struct input_sink *sink, struct err *e)
{
	if (in->format == INPUT_TXT)
		return each_line_of_text(in, sink, e);
	if (in->format == INPUT_CSV || in->format == INPUT_TSV)
		return each_row(in, sink, NULL, e);
	return input_json_each(in, sink, e);
}
