#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/plain.h"
#include "text/unicode.h"

static const char *const check_names[CHECKS] = {
	[CHECK_ENCODING] = "encoding",
	[CHECK_BOM] = "byte order mark",
	[CHECK_LINE_ENDS] = "line ends",
	[CHECK_FORMAT] = "format",
	[CHECK_MALFORMED] = "malformed rows",
	[CHECK_EXAMPLES] = "examples",
	[CHECK_COLUMNS] = "columns",
	[CHECK_EXTRA_COLUMNS] = "extra columns",
	[CHECK_EMPTY] = "empty completions",
	[CHECK_TASK] = "task",
	[CHECK_DUPLICATES] = "duplicates",
	[CHECK_LONG] = "long rows",
	[CHECK_UPPER_CASE] = "upper case",
	[CHECK_SEPARATOR] = "separator",
	[CHECK_PROMPT_PREFIX] = "prompt prefix",
	[CHECK_COMPLETION_PREFIX] = "completion prefix",
	[CHECK_ENDING] = "completion ending",
	[CHECK_SPACE] = "completion space",
	[CHECK_CHAT_MESSAGES] = "messages",
	[CHECK_CHAT_KEYS] = "message keys",
	[CHECK_CHAT_UNKNOWN_KEYS] = "unknown keys",
	[CHECK_CHAT_ROLES] = "roles",
	[CHECK_CHAT_EMPTY] = "empty content",
	[CHECK_CHAT_ASSISTANT] = "assistant",
	[CHECK_CHAT_WEIGHTS] = "weights",
	[CHECK_TEXT_VALUES] = "values",
	[CHECK_LABEL_SPACE] = "label space",
	[CHECK_LABEL_SPELLING] = "label spelling",
	[CHECK_NEAR_EMPTY] = "near-empty rows",
	[CHECK_CONTRADICTIONS] = "contradictions",
	[CHECK_BALANCE] = "class balance",
	[CHECK_TOKENS] = "tokens",
	[CHECK_FIRST_TOKENS] = "first tokens",
	[CHECK_LEAKAGE] = "leakage",
	[CHECK_SPLIT_LABELS] = "labels of parts",
};

static const char *const level_names[] = {"", "ok", "note", "warning", "repaired", "error"};

void
tally_add(struct tally *t, int file, uint64_t line)
{
	t->n++;
	if (t->lines[file] < TALLY_LINES)
		t->line[file][t->lines[file]++] = line;
}

void
report_init(struct report *r)
{
	*r = (struct report){.unit = {"line", "line"}, .more = json_object()};
}

void
report_release(struct report *r)
{
	for (int i = 0; i < CHECKS; i++)
		free(r->of[i].text);
	json_decref(r->more);
	*r = (struct report){0};
}

char *
plain_text(const char *p, size_t n)
{
	struct buf text = {0}, plain = {0};
	buf_puts(&text, "");
	uni_append_lossy(&text, p, n);
	buf_plain(&plain, text.data);
	buf_release(&text);
	return plain.data;
}

void
report_set(struct report *r, enum check c, enum level level, const struct tally *rows, const char *fmt, ...)
{
	struct finding *f = &r->of[c];
	char text[1024]; /* names and labels within are bounded; more would be cut */
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	free(f->text);
	*f = (struct finding){.level = level, .text = plain_text(text, strlen(text))};
	if (rows)
		f->rows = *rows;
}

enum level
report_level(const struct report *r)
{
	enum level most = LEVEL_OK;
	for (int i = 0; i < CHECKS; i++)
		if (r->of[i].level > most)
			most = r->of[i].level;
	return most;
}

void
report_first_error(const struct report *r, const char *name, struct err *e)
{
	for (int i = 0; i < CHECKS; i++)
		if (r->of[i].level == LEVEL_ERROR) {
			err_set(e, ERR_DATA, "'%s': %s: %s", name, check_names[i], r->of[i].text);
			return;
		}
}

/* ---- for a person ---- */

static void
print_lines(const struct finding *f, const char *unit, int file, FILE *out)
{
	int n = f->rows.lines[file];
	if (n == 0)
		return;
	fprintf(out, "; %s%s%s ", file ? "validation " : "", unit, n > 1 ? "s" : "");
	for (int i = 0; i < n; i++)
		fprintf(out, "%s%llu", i ? ", " : "", (unsigned long long)f->rows.line[file][i]);
	if (f->rows.n > (uint64_t)(f->rows.lines[0] + f->rows.lines[1]))
		fputs(", ...", out);
}

void
report_print(const struct report *r, bool all, FILE *out)
{
	for (int i = 0; i < CHECKS; i++) {
		const struct finding *f = &r->of[i];
		if (f->level == LEVEL_UNSET || (f->level == LEVEL_OK && !all))
			continue;
		fprintf(out, "  %-9s %-18s %s", level_names[f->level], check_names[i], f->text);
		for (int file = 0; file < FILES; file++)
			print_lines(f, r->unit[file], file, out);
		fputc('\n', out);
	}
}

/* ---- as JSON ---- */

static json_t *
lines_json(const struct finding *f, int file)
{
	json_t *a = json_array();
	for (int i = 0; i < f->rows.lines[file]; i++)
		json_array_append_new(a, json_integer((json_int_t)f->rows.line[file][i]));
	return a;
}

json_t *
report_json(const struct report *r)
{
	json_t *o = json_copy(r->more), *checks = json_array();
	for (int i = 0; i < CHECKS; i++) {
		const struct finding *f = &r->of[i];
		if (f->level == LEVEL_UNSET)
			continue;
		json_t *text = json_string(f->text), *c = json_object();
		json_object_set_new(c, "name", json_string(check_names[i]));
		json_object_set_new(c, "level", json_string(level_names[f->level]));
		json_object_set_new(c, "count", json_integer((json_int_t)f->rows.n));
		json_object_set_new(c, "lines", lines_json(f, 0));
		if (f->rows.lines[1])
			json_object_set_new(c, "validation_lines", lines_json(f, 1));
		json_object_set_new(c, "text", text ? text : json_string(""));
		json_array_append_new(checks, c);
	}
	json_object_set_new(o, "checks", checks);
	return o;
}
