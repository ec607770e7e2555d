/* What prompts and completions begin and end with: the separator, the ending, common prefixes, the leading space. */
#include <stdlib.h>
#include <string.h>

#include "prepare.h"

enum { SHOWN = 40, SOUGHT_MAX = 256, LONG_SUFFIX = 10, LONG_PROMPT_PREFIX = 12, LONG_COMPLETION_PREFIX = 5 };

/* What hone-tokenize puts behind the text of {"text", "label"}. */
static const char classification_separator[] = "\n\n###\n\n";

/* ---- texts ---- */

static bool
is_inside_character(char c)
{
	return (c & 0xc0) == 0x80;
}

static size_t
count_characters(const char *p, size_t n)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += !is_inside_character(p[i]);
	return count;
}

/* A text within quotes on one line, cut when it is long. */
static void
show(char out[4 * SHOWN], const char *p, size_t n)
{
	size_t k = 0, i;
	out[k++] = '\'';
	for (i = 0; i < n && (i < SHOWN || is_inside_character(p[i])); i++) {
		unsigned char c = (unsigned char)p[i];
		if (c == '\n' || c == '\t' || c == '\r')
			k += (size_t)snprintf(out + k, 3, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else
			out[k++] = (char)(c < ' ' || c == 127 ? '?' : c);
	}
	snprintf(out + k, 5, "%s'", i < n ? "..." : "");
}

/* A command-line text, in which \n, \t, \r and \\ stand for these characters. */
static void
unescape(const char *s, struct buf *out)
{
	static const char from[] = "ntr\\", to[] = "\n\t\r\\";
	buf_append(out, "", 0);
	for (; *s; s++) {
		const char *at = *s == '\\' && s[1] ? strchr(from, s[1]) : NULL;
		buf_putc(out, at ? to[at - from] : *s);
		s += at != NULL;
	}
}

static bool
contains(const char *p, size_t n, const char *what, size_t k)
{
	for (const char *end = p + n; k > 0 && (size_t)(end - p) >= k; p++) {
		p = memchr(p, what[0], (size_t)(end - p) - k + 1);
		if (!p)
			return false;
		if (memcmp(p, what, k) == 0)
			return true;
	}
	return false;
}

static bool
ends_with(const struct data *d, struct text t, const struct buf *end)
{
	return t.n >= end->len && memcmp(text_of(d, t) + t.n - end->len, end->data, end->len) == 0;
}

/* ---- what all have ---- */

struct affix {
	struct buf text;
	bool all_same;  /* it is the whole of every text */
	uint64_t whole; /* texts that consist of it */
	uint64_t rows;
};

static size_t
shared(const char *a, const char *b, size_t n, bool suffix)
{
	size_t k = 0;
	while (k < n && (suffix ? a[-1 - (ptrdiff_t)k] == b[-1 - (ptrdiff_t)k] : a[k] == b[k]))
		k++;
	return k;
}

/* The longest text, in whole characters, that this field of all rows begins (ends) with. */
static void
find_affix(const struct data *d, enum field field, bool suffix, struct affix *a)
{
	const char *first = NULL;
	size_t n = 0, shortest = SIZE_MAX, longest = 0;
	*a = (struct affix){0};
	for (size_t i = 0; i < d->n; i++) {
		struct text t = d->row[i].field[field];
		const char *p = text_of(d, t) + (suffix ? t.n : 0);
		if (d->row[i].dropped)
			continue;
		n = first ? shared(first, p, t.n < n ? t.n : n, suffix) : t.n;
		first = first ? first : p;
		shortest = t.n < shortest ? t.n : shortest;
		longest = t.n > longest ? t.n : longest;
		a->rows++;
	}
	const char *start = suffix && first ? first - n : first;
	while (first && n > 0 && is_inside_character(suffix ? *start : start[n])) {
		start += suffix;
		n--;
	}
	buf_append(&a->text, first ? start : "", n);
	a->all_same = n == longest && a->rows > 0;
	for (size_t i = 0; i < d->n; i++)
		a->whole += !d->row[i].dropped && d->row[i].field[field].n == n;
}

/* Rows that contain the text (elsewhere than at their end). A long one is no separator, and is not looked for. */
static struct tally
rows_with(const struct data *d, enum field field, const char *what, size_t n, bool at_end)
{
	struct tally t = {0};
	for (size_t i = 0; i < d->n; i++) {
		const struct row *r = &d->row[i];
		struct text text = r->field[field];
		size_t length = text.n - (at_end && text.n >= n ? n : 0);
		if (!r->dropped && n <= SOUGHT_MAX && contains(text_of(d, text), length, what, n))
			tally_add(&t, r->file, r->line);
	}
	return t;
}

/* ---- changes ---- */

/* Joins two texts to a new one. */
static struct text
join(struct data *d, const char *front, size_t n, struct text t, const struct buf *end)
{
	struct text out = data_keep(d, front, n);
	/* the store must not move while a part of it is copied */
	char *copy = xstrndup(text_of(d, t), t.n);
	buf_append(&d->store, copy, t.n);
	free(copy);
	if (end)
		buf_append(&d->store, end->data, end->len);
	out.n = d->store.len - out.at;
	return out;
}

/* Puts an ending behind the texts that do not have it; which these were. */
static struct tally
append(struct data *d, enum field field, const struct buf *end)
{
	struct tally t = {0};
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped || ends_with(d, r->field[field], end))
			continue;
		r->field[field] = join(d, "", 0, r->field[field], end);
		tally_add(&t, r->file, r->line);
	}
	return t;
}

static void
cut_prefix(struct data *d, enum field field, size_t n)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped) {
			d->row[i].field[field].at += n;
			d->row[i].field[field].n -= n;
		}
}

/* ---- the separator ---- */

/* The first of the usual ones that no prompt contains. */
static const char *
suggest_separator(const struct data *d)
{
	static const char *const shown[] = {"\\n\\n###\\n\\n", "\\n\\n===\\n\\n", "\\n\\n---\\n\\n", " ->"};
	static const char *const text[] = {"\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", " ->"};
	for (size_t i = 0; i < sizeof text / sizeof *text; i++)
		if (rows_with(d, FIELD_PROMPT, text[i], strlen(text[i]), false).n == 0)
			return shown[i];
	return "\\n\\n### =>\\n\\n";
}

static void
add_separator(struct data *d, const struct buf *separator)
{
	char shown[4 * SHOWN];
	struct tally added = append(d, FIELD_PROMPT, separator);
	struct tally inside = rows_with(d, FIELD_PROMPT, separator->data, separator->len, true);
	show(shown, separator->data, separator->len);
	if (inside.n)
		report_set(&d->report, CHECK_SEPARATOR, added.n ? LEVEL_REPAIRED : LEVEL_WARNING, &inside,
			"%s appended to %llu prompts; %llu contain it elsewhere too, choose another", shown,
			(unsigned long long)added.n, (unsigned long long)inside.n);
	else
		report_set(&d->report, CHECK_SEPARATOR, added.n ? LEVEL_REPAIRED : LEVEL_OK, &added,
			"%s appended to %llu prompts", shown, (unsigned long long)added.n);
}

static void
find_separator(struct data *d)
{
	struct affix a;
	char shown[4 * SHOWN];
	find_affix(d, FIELD_PROMPT, true, &a);
	struct tally inside = rows_with(d, FIELD_PROMPT, a.text.data, a.text.len, true);
	bool is_long = count_characters(a.text.data, a.text.len) > LONG_SUFFIX;
	show(shown, a.text.data, a.text.len);
	if (a.all_same && a.rows > 1)
		report_set(&d->report, CHECK_SEPARATOR, LEVEL_WARNING, NULL, "all prompts are %s", shown);
	else if (a.text.len == 0)
		report_set(&d->report, CHECK_SEPARATOR, LEVEL_WARNING, NULL,
			"prompts end with nothing in common; --separator '%s' marks where they end",
			suggest_separator(d));
	else if (inside.n)
		report_set(&d->report, CHECK_SEPARATOR, LEVEL_WARNING, &inside,
			"all prompts end with %s, and %llu contain it elsewhere", shown, (unsigned long long)inside.n);
	else
		report_set(&d->report, CHECK_SEPARATOR, is_long ? LEVEL_NOTE : LEVEL_OK, NULL,
			"all prompts end with %s%s", shown, is_long ? ", which is long" : "");
	buf_release(&a.text);
}

/* hone-tokenize adds it; it must not be in the texts. */
static void
check_built_in_separator(struct data *d)
{
	size_t n = sizeof classification_separator - 1;
	struct tally inside = rows_with(d, FIELD_PROMPT, classification_separator, n, false);
	report_set(&d->report, CHECK_SEPARATOR, inside.n ? LEVEL_WARNING : LEVEL_OK, &inside,
		inside.n ? "%llu texts contain '\\n\\n###\\n\\n', which hone-tokenize puts behind them"
			 : "hone-tokenize adds it",
		(unsigned long long)inside.n);
}

/* ---- prefixes ---- */

static bool
asked_to_strip(const struct data *d, enum field field)
{
	const char *choice = d->opt->strip_prefix;
	return strcmp(choice, "both") == 0 || strcmp(choice, field == FIELD_PROMPT ? "prompt" : "completion") == 0;
}

static void
check_prefix(struct data *d, enum field field, enum check check, size_t least)
{
	struct affix a;
	char shown[4 * SHOWN];
	const char *what = field == FIELD_PROMPT ? "prompts" : "completions";
	bool labels = d->classification && field == FIELD_COMPLETION, strip = asked_to_strip(d, field);
	find_affix(d, field, false, &a);
	/* A space in front is there for the tokenizer, and stays. */
	size_t space = field == FIELD_COMPLETION && a.text.len > 0 && a.text.data[0] == ' ';
	size_t n = a.text.len - space;
	show(shown, a.text.data, a.text.len);
	bool found = count_characters(a.text.data, a.text.len) >= least && !a.all_same;
	if (!found)
		report_set(&d->report, check, LEVEL_OK, NULL, "none");
	else if (strip && a.whole == 0) {
		cut_prefix(d, field, n);
		if (space)
			for (size_t i = 0; i < d->n; i++)
				if (!d->row[i].dropped)
					d->row[i].field[field] = join(d, " ", 1, d->row[i].field[field], NULL);
		report_set(&d->report, check, LEVEL_REPAIRED, NULL, "%s taken from all %s", shown, what);
	} else if (strip) {
		report_set(&d->report, check, LEVEL_WARNING, NULL, "%llu %s are %s and nothing else: it stays",
			(unsigned long long)a.whole, what, shown);
	} else {
		report_set(&d->report, check, labels ? LEVEL_NOTE : LEVEL_WARNING, NULL,
			"all %s begin with %s; --strip-prefix takes it off", what, shown);
	}
	buf_release(&a.text);
}

/* ---- the completion's ends ---- */

static void
add_ending(struct data *d, const struct buf *ending)
{
	char shown[4 * SHOWN];
	struct tally added = append(d, FIELD_COMPLETION, ending);
	show(shown, ending->data, ending->len);
	report_set(&d->report, CHECK_ENDING, added.n ? LEVEL_REPAIRED : LEVEL_OK, &added,
		"%s appended to %llu completions", shown, (unsigned long long)added.n);
}

static void
find_ending(struct data *d)
{
	struct affix a;
	char shown[4 * SHOWN];
	find_affix(d, FIELD_COMPLETION, true, &a);
	show(shown, a.text.data, a.text.len);
	if (a.all_same && a.rows > 1)
		report_set(&d->report, CHECK_ENDING, LEVEL_WARNING, NULL, "all completions are %s", shown);
	else if (a.text.len == 0)
		report_set(&d->report, CHECK_ENDING, LEVEL_OK, NULL,
			"none, and none is needed: the end-of-text token follows");
	else
		report_set(&d->report, CHECK_ENDING, LEVEL_OK, NULL, "all completions end with %s", shown);
	buf_release(&a.text);
}

static void
check_space(struct data *d)
{
	struct tally without = {0}, with = {0};
	bool add = d->opt->completion_space;
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped)
			continue;
		char c = *text_of(d, r->field[FIELD_COMPLETION]);
		bool space = c == ' ' || (c >= '\t' && c <= '\r');
		tally_add(space ? &with : &without, r->file, r->line);
		if (!space && add)
			r->field[FIELD_COMPLETION] = join(d, " ", 1, r->field[FIELD_COMPLETION], NULL);
	}
	unsigned long long n = without.n;
	if (n && add)
		report_set(&d->report, CHECK_SPACE, LEVEL_REPAIRED, &without, "put before %llu completions", n);
	else if (n && with.n)
		report_set(&d->report, CHECK_SPACE, LEVEL_WARNING, with.n <= n ? &with : &without,
			"%llu completions begin with a space, %llu do not; --completion-space",
			(unsigned long long)with.n, n);
	else
		report_set(&d->report, CHECK_SPACE, LEVEL_OK, NULL,
			n ? "none has it; prompt and completion are tokenised apart" : "all completions have it");
}

/* ---- all of it ---- */

static int
wrong_form(const struct data *d, struct err *e)
{
	const struct options *o = d->opt;
	bool prefix = d->form == FORM_CHAT && strcmp(o->strip_prefix, "none") != 0;
	if (d->form != FORM_COMPLETION && (o->separator || o->ending || o->completion_space))
		return err_set(e, ERR_USAGE,
			"--separator, --ending and --completion-space are for prompts and completions; "
			"these are %s records",
			form_name(d->form));
	return prefix ? err_set(e, ERR_USAGE, "--strip-prefix is not for conversations") : 0;
}

static void
check_pairs(struct data *d)
{
	struct buf separator = {0}, ending = {0};
	if (d->opt->separator) {
		unescape(d->opt->separator, &separator);
		add_separator(d, &separator);
	} else {
		find_separator(d);
	}
	check_prefix(d, FIELD_PROMPT, CHECK_PROMPT_PREFIX, LONG_PROMPT_PREFIX + 1);
	check_prefix(d, FIELD_COMPLETION, CHECK_COMPLETION_PREFIX, LONG_COMPLETION_PREFIX);
	if (d->opt->ending) {
		unescape(d->opt->ending, &ending);
		add_ending(d, &ending);
	} else if (d->classification) {
		report_set(&d->report, CHECK_ENDING, LEVEL_OK, NULL, "not needed for labels");
	} else {
		find_ending(d);
	}
	check_space(d);
	buf_release(&separator);
	buf_release(&ending);
}

/* Prompts that are empty in every row: completions are learned from nothing. */
static bool
is_open_ended(const struct data *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped && d->row[i].field[FIELD_PROMPT].n > 0)
			return false;
	return true;
}

int
affix_check(struct data *d, struct err *e)
{
	if (wrong_form(d, e) < 0)
		return -1;
	if (data_left(d) == 0 || d->form == FORM_CHAT || d->form == FORM_TEXT ||
		(is_open_ended(d) && !d->opt->separator))
		return 0;
	if (d->form == FORM_COMPLETION) {
		check_pairs(d);
		return 0;
	}
	if (d->form == FORM_CLASSIFICATION)
		check_built_in_separator(d);
	check_prefix(d, FIELD_PROMPT, CHECK_PROMPT_PREFIX, LONG_PROMPT_PREFIX + 1);
	check_prefix(d, FIELD_COMPLETION, CHECK_COMPLETION_PREFIX, LONG_COMPLETION_PREFIX);
	return 0;
}
