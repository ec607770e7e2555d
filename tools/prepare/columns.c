/* Which column is the prompt, which the completion. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/near.h"
#include "prepare.h"

/* ---- forms ---- */

static const char *const form_names[] = {"chat", "completion", "alpaca", "classification", "text"};

static const char *const form_fields[][FIELDS] = {
	[FORM_CHAT] = {NULL, "messages", NULL},
	[FORM_COMPLETION] = {"prompt", "completion", NULL},
	[FORM_ALPACA] = {"instruction", "output", "input"},
	[FORM_CLASSIFICATION] = {"text", "label", NULL},
	[FORM_TEXT] = {NULL, "text", NULL},
};

const char *
form_name(enum form f)
{
	return form_names[f];
}

const char *
form_field(enum form f, enum field i)
{
	return form_fields[f][i];
}

/* ---- names that are known ---- */

/* In order of preference; compared without regard to case and to white space around. */
static const struct known {
	enum form form;
	const char *column[FIELDS];
} known[] = {
	{FORM_CHAT, {NULL, "messages", NULL}},
	{FORM_CHAT, {NULL, "conversations", NULL}},
	{FORM_COMPLETION, {"prompt", "completion", NULL}},
	{FORM_ALPACA, {"instruction", "output", "input"}},
	{FORM_ALPACA, {"instruction", "output", NULL}},
	{FORM_COMPLETION, {"prompt", "response", NULL}},
	{FORM_COMPLETION, {"prompt", "answer", NULL}},
	{FORM_COMPLETION, {"question", "answer", NULL}},
	{FORM_COMPLETION, {"input", "target", NULL}},
	{FORM_COMPLETION, {"input", "output", NULL}},
	{FORM_CLASSIFICATION, {"text", "label", NULL}},
	{FORM_CLASSIFICATION, {"text", "category", NULL}},
	{FORM_CLASSIFICATION, {"text", "class", NULL}},
	{FORM_CLASSIFICATION, {"text", "intent", NULL}},
	{FORM_CLASSIFICATION, {"sentence", "label", NULL}},
	{FORM_TEXT, {NULL, "text", NULL}},
};

enum { KNOWN = sizeof known / sizeof *known };

static bool
same_name(const char *p, size_t n, const char *name)
{
	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	return strlen(name) == n && strncasecmp(p, name, n) == 0;
}

/* A column's number; an exact name goes before one in another case. */
static int
find_column(const struct input *in, const char *name)
{
	for (size_t i = 0; i < in->columns; i++)
		if (strcmp(in->column[i], name) == 0)
			return (int)i;
	for (size_t i = 0; i < in->columns; i++)
		if (same_name(in->column[i], strlen(in->column[i]), name))
			return (int)i;
	return -1;
}

/* ---- --columns ---- */

/* One "field=column" of the option. */
struct part {
	const char *field, *column;
	size_t field_n, column_n;
};

/* The next part of an item "field=column,field=column"; false at its end. A part without '=' has no column. */
static bool
next_part(const char **s, struct part *p)
{
	if (!**s)
		return false;
	size_t n = strcspn(*s, ","), name = strcspn(*s, "=,");
	*p = (struct part){*s, *s + name + 1, name, name < n ? n - name - 1 : 0};
	*s += n + ((*s)[n] == ',');
	return true;
}

static bool
is_field(const struct part *p, const char *name)
{
	return name && strlen(name) == p->field_n && strncmp(name, p->field, p->field_n) == 0;
}

static bool
gives(const struct opt_list *l, const char *name)
{
	struct part p;
	for (size_t i = 0; i < l->n; i++)
		for (const char *s = l->item[i]; next_part(&s, &p);)
			if (is_field(&p, name))
				return true;
	return false;
}

bool
columns_known(const struct csv_row *row, const struct options *opt)
{
	struct part p;
	for (size_t i = 0; i < row->n; i++) {
		const struct csv_field *f = &row->field[i];
		for (size_t k = 0; k < KNOWN; k++)
			for (int j = 0; j < FIELDS; j++)
				if (known[k].column[j] && same_name(f->p, f->n, known[k].column[j]))
					return true;
		for (size_t k = 0; k < opt->columns.n; k++)
			for (const char *s = opt->columns.item[k]; next_part(&s, &p);)
				if (f->n == p.column_n && f->n > 0 && memcmp(f->p, p.column, f->n) == 0)
					return true;
	}
	return false;
}

/* The form that the fields named belong to. */
static int
form_asked(const struct opt_list *l, enum form *form, struct err *e)
{
	for (int f = FORM_CHAT; f <= FORM_TEXT; f++) {
		const char *const *field = form_fields[f];
		if ((!field[0] || gives(l, field[0])) && gives(l, field[1])) {
			*form = (enum form)f;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE,
		"--columns: wanted are prompt= and completion=, or instruction= and output=, or "
		"text= and label=, or text=, or messages=");
}

/* A column by name, or by its number where no column has that name. */
static int
named_column(const struct input *in, const struct part *p)
{
	char *name = xstrndup(p->column, p->column_n);
	int i = find_column(in, name);
	bool number = *name && name[strspn(name, "0123456789")] == '\0';
	unsigned long k = number ? strtoul(name, NULL, 10) : 0;
	bool table = in->format == INPUT_CSV || in->format == INPUT_TSV;
	if (i < 0 && number && table && k >= 1 && k <= in->columns)
		i = (int)k - 1;
	free(name);
	return i;
}

/* "'a', 'b'" and so on, as far as there is room. */
static void
list_columns(const struct input *in, char *text, size_t size)
{
	size_t n = 0;
	*text = '\0';
	for (size_t i = 0; i < in->columns && n + 1 < size && n < 300; i++) {
		char *name = plain_text(in->column[i], strlen(in->column[i]));
		n += (size_t)snprintf(text + n, size - n, "%s'%.60s'", i ? ", " : "", name);
		free(name);
	}
}

static int
no_column(const struct input *in, const struct part *p, struct err *e)
{
	struct near near;
	char columns[512], *name = xstrndup(p->column, p->column_n);
	near_init(&near, name);
	for (size_t i = 0; i < in->columns; i++)
		near_try(&near, in->column[i], NULL);
	list_columns(in, columns, sizeof columns);
	err_set(e, ERR_USAGE, "--columns: '%s' has no column '%s'%s%s%s; it has %s", in->name, name,
		*near.best ? " (did you mean '" : "", near.best, *near.best ? "'?)" : "", columns);
	free(name);
	return -1;
}

static int
no_field(enum form form, const struct part *p, struct err *e)
{
	struct buf fields = {0};
	struct near near;
	char *name = xstrndup(p->field, p->field_n);
	near_init(&near, name);
	for (int f = FORM_CHAT; f <= FORM_TEXT; f++)
		for (int j = 0; j < FIELDS; j++)
			if (form_fields[f][j])
				near_try(&near, form_fields[f][j], NULL);
	for (int j = 0; j < FIELDS; j++)
		if (form_fields[form][j])
			buf_printf(&fields, "%s%s=", fields.len ? ", " : "", form_fields[form][j]);
	err_set(e, ERR_USAGE, "--columns: '%s' is not a field of %s records, which have %s%s%s%s", name, form_names[form],
		fields.data, *near.best ? "; did you mean '" : "", near.best, *near.best ? "'?" : "");
	buf_release(&fields);
	free(name);
	return -1;
}

static int
set_part(struct mapping *m, const struct input *in, const struct part *p, struct err *e)
{
	for (int j = 0; j < FIELDS; j++)
		if (is_field(p, form_fields[m->form][j])) {
			m->column[j] = named_column(in, p);
			return m->column[j] >= 0 ? 0 : no_column(in, p, e);
		}
	return no_field(m->form, p, e);
}

static int
map_asked(struct mapping *m, const struct input *in, const struct opt_list *l, struct err *e)
{
	struct part p;
	if (form_asked(l, &m->form, e) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		for (const char *s = l->item[i]; next_part(&s, &p);)
			if (set_part(m, in, &p, e) < 0)
				return -1;
	return 0;
}

/* ---- without it ---- */

static bool
map_known(struct mapping *m, const struct input *in, const struct known *k)
{
	for (int j = 0; j < FIELDS; j++) {
		m->column[j] = k->column[j] ? find_column(in, k->column[j]) : -1;
		if (k->column[j] && m->column[j] < 0)
			return false;
	}
	m->form = k->form;
	m->sharegpt = k->column[1] && strcmp(k->column[1], "conversations") == 0;
	return true;
}

/* Without a header columns go by numbers; whether the first line was one, who asks has to see. */
static int
first_line_unknown(const struct input *in, struct err *e)
{
	struct csv c;
	struct csv_row row;
	struct buf names = {0};
	csv_init(&c, in->text, in->n, in->format == INPUT_TSV ? '\t' : ',', in->quotes);
	int rc = csv_next(&c, &row, e);
	for (size_t i = 0; rc > 0 && i < row.n && names.len < 200; i++) {
		char *name = plain_text(row.field[i].p, row.field[i].n);
		buf_printf(&names, "%s'%.40s'", i ? ", " : "", name);
		free(name);
	}
	err_set(e, ERR_DATA, "'%s': the first line (%s) names no column that is known; --columns text=NAME,label=NAME or "
		"prompt=NAME,completion=NAME tells them, by number where it is no header (prompt=1,completion=2)", in->name, names.data);
	buf_release(&names);
	csv_release(&c);
	return -1;
}

static int
map_auto(struct mapping *m, const struct input *in, struct err *e)
{
	char columns[512];
	bool table = in->format == INPUT_CSV || in->format == INPUT_TSV;
	for (size_t k = 0; k < KNOWN; k++)
		if (map_known(m, in, &known[k]))
			return 0;
	if (table && !in->header)
		return first_line_unknown(in, e);
	list_columns(in, columns, sizeof columns);
	return err_set(e, ERR_DATA, "'%s': no known columns among %s; --columns prompt=NAME,completion=NAME tells them",
		in->name, columns);
}

int
columns_map(struct mapping *m, const struct input *in, const struct options *opt, struct err *e)
{
	*m = (struct mapping){.column = {-1, -1, -1}};
	if (in->columns == 0)
		return err_set(e, ERR_DATA, "'%s': has no rows", in->name);
	if ((opt->columns.n ? map_asked(m, in, &opt->columns, e) : map_auto(m, in, e)) < 0)
		return -1;
	bool table = in->format == INPUT_CSV || in->format == INPUT_TSV || in->format == INPUT_TXT;
	if (m->form == FORM_CHAT && table)
		return err_set(e, ERR_DATA, "'%s': conversations are read from JSON only", in->name);
	bool pairs = opt->separator || opt->ending || opt->completion_space;
	if (m->form == FORM_CLASSIFICATION && opt->columns.n == 0 && pairs)
		m->form = FORM_COMPLETION;
	for (int j = 0; j < FIELDS; j++)
		if (m->column[j] >= 0 && in->format != INPUT_TXT && form_fields[m->form][j])
			m->renamed |= strcmp(in->column[m->column[j]], form_fields[m->form][j]) != 0;
	return 0;
}
