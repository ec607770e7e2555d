#include "text/regex.h"

#include <stdbool.h>
#include <string.h>

#include "text/unicode.h"

struct parser {
	const char *s;                /* what is left */
	size_t atom;                  /* where in the output the last atom starts, which a repetition is of */
	size_t group[REGEX_DEPTH];    /* where open groups start */
	size_t depth;
	struct err *e;
};

/* ---- classes of characters by name ---- */

/* What stands within the brackets of a class for \s, \w and \h; NULL for other letters. */
static const char *
shorthand(char c)
{
	switch (c) {
	case 's':
	case 'S':
		return "\\p{White_Space}";
	case 'w':
	case 'W':
		return "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
	case 'h':
	case 'H':
		return "0-9A-Fa-f";
	default:
		return NULL;
	}
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* Names that PCRE2 has only in short, compared without case, spaces, '-' and '_'. */
static const char *
short_name(const char *name, size_t n)
{
	static const char *const names[][2] = {{"letter", "L"}, {"uppercaseletter", "Lu"}, {"lowercaseletter", "Ll"},
		{"titlecaseletter", "Lt"}, {"casedletter", "L&"}, {"modifierletter", "Lm"}, {"otherletter", "Lo"},
		{"mark", "M"}, {"combiningmark", "M"}, {"nonspacingmark", "Mn"}, {"spacingmark", "Mc"},
		{"enclosingmark", "Me"}, {"number", "N"}, {"decimalnumber", "Nd"}, {"digit", "Nd"}, {"letternumber", "Nl"},
		{"othernumber", "No"}, {"punctuation", "P"}, {"connectorpunctuation", "Pc"}, {"dashpunctuation", "Pd"},
		{"openpunctuation", "Ps"}, {"closepunctuation", "Pe"}, {"initialpunctuation", "Pi"},
		{"finalpunctuation", "Pf"}, {"otherpunctuation", "Po"}, {"symbol", "S"}, {"mathsymbol", "Sm"},
		{"currencysymbol", "Sc"}, {"modifiersymbol", "Sk"}, {"othersymbol", "So"}, {"separator", "Z"},
		{"spaceseparator", "Zs"}, {"lineseparator", "Zl"}, {"paragraphseparator", "Zp"}, {"other", "C"},
		{"control", "Cc"}, {"cntrl", "Cc"}, {"format", "Cf"}, {"privateuse", "Co"}, {"unassigned", "Cn"},
		{"alpha", "Alphabetic"}, {"upper", "Uppercase"}, {"lower", "Lowercase"}, {"space", "White_Space"}};
	char plain[32] = {0};
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (strchr(" -_", name[i]))
			continue;
		if (k == sizeof plain)
			return NULL;
		plain[k++] = is_upper(name[i]) ? (char)(name[i] - 'A' + 'a') : name[i];
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i][0]) == k && !memcmp(names[i][0], plain, k))
			return names[i][1];
	return NULL;
}

/* \p{...} or \P{...} at p->s. */
static void
copy_property(struct parser *p, const char *close, struct buf *out)
{
	const char *name = p->s + 3;
	bool negated = *name == '^';
	name += negated;
	const char *other = short_name(name, (size_t)(close - name));
	buf_append(out, p->s, 3);
	buf_puts(out, negated ? "^" : "");
	if (other)
		buf_puts(out, other);
	else
		buf_append(out, name, (size_t)(close - name));
	buf_putc(out, '}');
	p->s = close + 1;
}

/* ---- escapes ---- */

static const char word_start[] = "(?<![\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])(?=[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])";
static const char word_end[] = "(?<=[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])(?![\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])";

/* An escape that both write alike, or that another way of writing is known for; in a class or outside. */
static int
copy_escape(struct parser *p, bool in_class, struct buf *out)
{
	char c = p->s[1];
	if (!c)
		return err_set(p->e, ERR_CONFIG, "it ends with a backslash");
	const char *close = strchr("pPx", c) && p->s[2] == '{' ? strchr(p->s, '}') : NULL;
	if (c == 'u' && strspn(p->s + 2, "0123456789abcdefABCDEF") >= 4) {
		buf_printf(out, "\\x{%.4s}", p->s + 2);
		p->s += 6;
		return 0;
	}
	if (strchr(in_class ? "uKRXGNOyYQE" : "uGNOyYQE", c))
		return err_set(p->e, ERR_CONFIG, "'\\%c' is not supported", c);
	if (close && c != 'x') {
		copy_property(p, close, out);
		return 0;
	}
	size_t n = close ? (size_t)(close + 1 - p->s) : 2;
	buf_append(out, p->s, n);
	p->s += n;
	return 0;
}

static int
translate_escape(struct parser *p, struct buf *out)
{
	char c = p->s[1];
	const char *text = shorthand(c);
	if (!text && c != 'b' && c != 'B')
		return copy_escape(p, false, out);
	if (text)
		buf_printf(out, is_upper(c) ? "[^%s]" : "[%s]", text);
	else
		buf_printf(out, c == 'b' ? "(?:%s|%s)" : "(?!%s|%s)", word_start, word_end);
	p->s += 2;
	return 0;
}

/* ---- classes ---- */

/* One operand of a class: what stands in brackets, and what has to stand beside them, as alternatives. */
struct operand {
	struct buf items, others;
};

/* A class that has been read: `items` when it is simply [items], else `whole`, which matches one character. */
struct class_text {
	struct buf items, whole;
};

static void
add_other(struct operand *o, const char *text)
{
	buf_puts(&o->others, o->others.len ? "|" : "");
	buf_puts(&o->others, text);
}

/* A "-" at the end of what is there would make a range with what comes. */
static void
add_items(struct operand *o, const char *text)
{
	size_t n = o->items.len;
	if (n && o->items.data[n - 1] == '-' && !(n > 1 && o->items.data[n - 2] == '\\')) {
		o->items.len--;
		buf_puts(&o->items, "\\-");
	}
	buf_puts(&o->items, text);
}

static void
end_operand(struct operand *o, struct buf *out)
{
	bool both = o->items.len && o->others.len;
	buf_puts(out, both || o->others.len ? "(?:" : "");
	if (o->items.len)
		buf_printf(out, "[%s]", o->items.data);
	buf_puts(out, both ? "|" : "");
	if (o->others.len)
		buf_printf(out, "%s)", o->others.data);
	buf_clear(&o->items);
	buf_clear(&o->others);
}

static int parse_class(struct parser *p, struct class_text *c);

static int
add_nested(struct parser *p, struct operand *o)
{
	struct class_text inner = {0};
	int rc = parse_class(p, &inner);
	if (rc == 0 && inner.whole.len)
		add_other(o, inner.whole.data);
	else if (rc == 0)
		add_items(o, inner.items.data);
	buf_release(&inner.items);
	buf_release(&inner.whole);
	return rc;
}

/* [:name:] at p->s. */
static bool
add_posix(struct parser *p, struct operand *o)
{
	const char *close = p->s[1] == ':' ? strstr(p->s, ":]") : NULL;
	if (!close)
		return false;
	size_t n = (size_t)(close + 2 - p->s);
	if (n == 9 && !memcmp(p->s, "[:space:]", n))
		buf_puts(&o->items, shorthand('s'));
	else if (n == 8 && !memcmp(p->s, "[:word:]", n))
		buf_puts(&o->items, shorthand('w'));
	else
		buf_append(&o->items, p->s, n);
	p->s += n;
	return true;
}

static int
add_member(struct parser *p, struct operand *o)
{
	if (*p->s == '[')
		return add_posix(p, o) ? 0 : add_nested(p, o);
	if (*p->s != '\\') {
		buf_putc(&o->items, *p->s++);
		return 0;
	}
	char c = p->s[1];
	const char *text = shorthand(c);
	if (!text)
		return copy_escape(p, true, &o->items);
	if (c == 'S')
		buf_puts(&o->items, "\\P{White_Space}");
	else if (is_upper(c)) {
		struct buf b = {0};
		buf_printf(&b, "[^%s]", text);
		add_other(o, b.data);
		buf_release(&b);
	} else
		add_items(o, text);
	p->s += 2;
	return 0;
}

/* Operands with && between, up to the closing bracket; *sides gets all but the last, as lookaheads. */
static int
parse_operands(struct parser *p, struct operand *o, struct buf *sides)
{
	if (*p->s == ']') {  /* right behind the opening bracket it is a member */
		buf_puts(&o->items, "\\]");
		p->s++;
	}
	while (*p->s != ']') {
		bool and = p->s[0] == '&' && p->s[1] == '&';
		if (!*p->s)
			return err_set(p->e, ERR_CONFIG, "a class is not closed");
		if (and && !o->items.len && !o->others.len)
			return err_set(p->e, ERR_CONFIG, "'&&' has nothing before it");
		if (and) {
			buf_puts(sides, "(?=");
			end_operand(o, sides);
			buf_puts(sides, ")");
			p->s += 2;
		} else if (add_member(p, o) < 0)
			return -1;
	}
	p->s++;
	if (!o->items.len && !o->others.len)
		return err_set(p->e, ERR_CONFIG, "a class, or a side of '&&', is empty");
	return 0;
}

/* A class at p->s. */
static int
parse_class(struct parser *p, struct class_text *c)
{
	struct operand o = {0};
	struct buf sides = {0};
	bool negated = p->s[1] == '^';
	p->s += negated ? 2 : 1;
	int rc = ++p->depth < REGEX_DEPTH ? parse_operands(p, &o, &sides) :
					    err_set(p->e, ERR_CONFIG, "it nests deeper than %d", REGEX_DEPTH);
	p->depth--;
	if (rc == 0 && !sides.len && !o.others.len)
		buf_printf(negated ? &c->whole : &c->items, negated ? "[^%s]" : "%s", o.items.data);
	else if (rc == 0) {
		buf_puts(&c->whole, negated ? "(?:(?!(?:" : "(?:");
		buf_append(&c->whole, sides.data ? sides.data : "", sides.len);
		end_operand(&o, &c->whole);
		buf_puts(&c->whole, negated ? "))(?s:.))" : ")");
	}
	buf_release(&o.items);
	buf_release(&o.others);
	buf_release(&sides);
	return rc;
}

static int
translate_class(struct parser *p, struct buf *out)
{
	struct class_text c = {0};
	int rc = parse_class(p, &c);
	if (rc == 0 && c.whole.len)
		buf_puts(out, c.whole.data);
	else if (rc == 0)
		buf_printf(out, "[%s]", c.items.data);
	buf_release(&c.items);
	buf_release(&c.whole);
	return rc;
}

/* ---- groups and repetitions ---- */

/* "(" and, of "(?", the options: Ruby's m lets a dot match line feeds, as s does in PCRE2. */
static int
open_group(struct parser *p, struct buf *out)
{
	if (p->depth == REGEX_DEPTH)
		return err_set(p->e, ERR_CONFIG, "it nests deeper than %d", REGEX_DEPTH);
	p->group[p->depth++] = out->len;
	buf_putc(out, *p->s++);
	if (p->s[0] != '?')
		return 0;
	buf_putc(out, *p->s++);
	size_t n = strspn(p->s, "imx-");
	if (p->s[n] != ':' && p->s[n] != ')')
		return 0;
	for (; n; n--, p->s++)
		buf_putc(out, *p->s == 'm' ? 's' : *p->s);
	return 0;
}

static size_t
digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* How long a counted repetition at s is, braces included: {2} {2,} {2,3} {,3}; 0 when it is none. */
static size_t
counted(const char *s)
{
	size_t low = digits(s + 1), n = 1 + low;
	if (s[n] == ',') {
		size_t high = digits(s + n + 1);
		n += 1 + high;
		low += high;
	}
	return low && s[n] == '}' ? n + 1 : 0;
}

/* A plus sign behind it repeats the repetition in Ruby, and is possessive in PCRE2. */
static void
copy_counted(struct parser *p, size_t n, struct buf *out)
{
	bool plus = p->s[n] == '+';
	if (plus) {
		struct buf atom = {0};
		buf_append(&atom, out->data + p->atom, out->len - p->atom);
		out->len = p->atom;
		buf_puts(out, "(?:");
		buf_append(out, atom.data ? atom.data : "", atom.len);
		buf_release(&atom);
	}
	buf_puts(out, p->s[1] == ',' ? "{0" : "{");
	buf_append(out, p->s + 1, n - 1);
	buf_puts(out, plus ? ")+" : "");
	p->s += n + plus;
}

/* ---- all of it ---- */

static int
translate_one(struct parser *p, struct buf *out)
{
	size_t n = *p->s == '{' ? counted(p->s) : 0;
	if (n) {
		copy_counted(p, n, out);
		return 0;
	}
	if (strchr("*+?|", *p->s)) {
		buf_putc(out, *p->s++);
		return 0;
	}
	if (*p->s == ')') {
		p->atom = p->depth ? p->group[--p->depth] : out->len;
		buf_putc(out, *p->s++);
		return 0;
	}
	p->atom = out->len;
	if (*p->s == '(')
		return open_group(p, out);
	if (*p->s == '[')
		return translate_class(p, out);
	if (*p->s == '\\')
		return translate_escape(p, out);
	do
		buf_putc(out, *p->s++);
	while ((*p->s & 0xc0) == 0x80);
	return 0;
}

int
regex_translate(const char *ruby, struct buf *out, struct err *e)
{
	struct parser p = {.s = ruby, .atom = out->len, .e = e};
	while (*p.s)
		if (translate_one(&p, out) < 0)
			return -1;
	return 0;
}
