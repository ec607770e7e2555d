/* Tokens of a template, with white space control as in Jinja's lexer: "-" strips, trim_blocks takes the line
 * feed behind a tag or comment, lstrip_blocks the blanks between the start of a line and a tag or comment. */
#include <ctype.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_int.h"

struct lexer {
	struct jinja_ctx *c;
	struct str in;
	size_t at;
	size_t counted;     /* line feeds before it are in c->line */
	bool line_start;    /* what was taken last ended a line */
	struct token *v;
	size_t n, cap;
};

static void
count_lines(struct lexer *x, size_t upto)
{
	for (; x->counted < upto; x->counted++)
		x->c->line += x->in.p[x->counted] == '\n';
}

static void
push(struct lexer *x, enum token_kind kind, struct str s)
{
	if (x->n == x->cap) {
		size_t cap = x->cap * 2 + 64;
		struct token *v = jinja_alloc(x->c, cap, sizeof *v);
		if (x->n)
			memcpy(v, x->v, x->n * sizeof *v);
		x->v = v;
		x->cap = cap;
	}
	x->v[x->n++] = (struct token){kind, s, x->c->line};
}

static bool
looking_at(const struct lexer *x, size_t at, const char *s)
{
	size_t n = strlen(s);
	return at + n <= x->in.n && memcmp(x->in.p + at, s, n) == 0;
}

static void
skip_space(struct lexer *x)
{
	struct str rest = {x->in.p + x->at, x->in.n - x->at};
	x->at += rest.n - str_strip(rest, NULL, STRIP_LEFT).n;
}

/* Behind a closing delimiter at `at` of two characters: white space control by the sign before it. */
static void
close_delimiter(struct lexer *x, size_t at, char sign, bool trim)
{
	x->at = at + 2;
	if (sign == '-')
		skip_space(x);
	else if (trim && sign != '+' && x->at < x->in.n && x->in.p[x->at] == '\n')
		x->at++;
	x->line_start = x->in.p[x->at - 1] == '\n';
}

/* The text up to an opening delimiter, as much of it as white space control leaves. */
static struct str
strip_text(const struct lexer *x, struct str text, char sign, bool is_output)
{
	if (sign == '-')
		return str_strip(text, NULL, STRIP_RIGHT);
	if (sign == '+' || is_output)
		return text;
	size_t line = text.n;
	while (line && text.p[line - 1] != '\n')
		line--;
	struct str tail = {text.p + line, text.n - line};
	if ((line || x->line_start) && str_strip(tail, NULL, STRIP_LEFT).n == 0)
		text.n = line;
	return text;
}

static void
lex_comment(struct lexer *x)
{
	long end = str_find(x->in, str_lit("#}"), x->at + 2);
	if (end < 0)
		jinja_fail(x->c, "a comment is not closed");
	char sign = end > (long)x->at + 2 ? x->in.p[end - 1] : 0;
	close_delimiter(x, (size_t)end, sign, true);
}

/* "{% NAME %}" at `at`, with signs and blanks; where it ends, 0 when it is something else. */
static size_t
match_tag(const struct lexer *x, size_t at, const char *name, char *open_sign, char *close_sign)
{
	const char *p = x->in.p, *end = p + x->in.n, *q = p + at + 2;
	*open_sign = *close_sign = 0;
	if (q < end && (*q == '-' || *q == '+'))
		*open_sign = *q++;
	while (q < end && isspace((unsigned char)*q))
		q++;
	if ((size_t)(end - q) < strlen(name) || memcmp(q, name, strlen(name)) != 0)
		return 0;
	q += strlen(name);
	while (q < end && isspace((unsigned char)*q))
		q++;
	if (q < end && (*q == '-' || *q == '+'))
		*close_sign = *q++;
	return end - q >= 2 && q[0] == '%' && q[1] == '}' ? (size_t)(q - p) : 0;
}

/* {% raw %}...{% endraw %} at x->at; false when the tag is another. */
static bool
lex_raw(struct lexer *x)
{
	char open, close;
	size_t end = match_tag(x, x->at, "raw", &open, &close);
	if (!end)
		return false;
	close_delimiter(x, end, close, true);
	size_t start = x->at;
	for (long at = (long)start; (at = str_find(x->in, str_lit("{%"), (size_t)at)) >= 0; at++) {
		end = match_tag(x, (size_t)at, "endraw", &open, &close);
		if (!end)
			continue;
		push(x, T_TEXT,
			strip_text(x, (struct str){x->in.p + start, (size_t)at - start}, open, false));
		close_delimiter(x, end, close, true);
		return true;
	}
	jinja_fail(x->c, "a raw block is not closed");
}

/* ---- inside a tag ---- */

static uint32_t
hex_value(char c)
{
	return (uint32_t)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

/* \xhh, \uhhhh, \Uhhhhhhhh: the character; returns how many digits were taken, at most 8. */
static size_t
hex_escape(struct lexer *x, struct str s, size_t digits, struct strbuf *b)
{
	uint32_t u = 0;
	for (size_t i = 0; i < digits; i++) {
		if (i >= s.n || !isxdigit((unsigned char)s.p[i]))
			jinja_fail(x->c, "a string has a wrong escape");
		u = u * 16 + hex_value(s.p[i]);
	}
	utf8proc_uint8_t bytes[4];
	bool is_char = u <= 0x10ffff && utf8proc_codepoint_valid((utf8proc_int32_t)u);
	utf8proc_ssize_t n = is_char ? utf8proc_encode_char((utf8proc_int32_t)u, bytes) : 0;
	if (n <= 0)
		jinja_fail(x->c, "a string has an escape that is no character");
	strbuf_add(b, (const char *)bytes, (size_t)n);
	return digits;
}

static size_t
octal_escape(struct str s, struct strbuf *b)
{
	int32_t u = 0;
	size_t i = 0;
	for (; i < 3 && i < s.n && s.p[i] >= '0' && s.p[i] <= '7'; i++)
		u = u * 8 + (s.p[i] - '0');
	utf8proc_uint8_t bytes[4];
	strbuf_add(b, (const char *)bytes, (size_t)utf8proc_encode_char(u, bytes));
	return i;
}

/* The text of a string literal, by the escapes of Python. */
static struct str
unescape(struct lexer *x, struct str s)
{
	static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
	struct strbuf b = {.c = x->c};
	for (size_t i = 0; i < s.n;) {
		const char *slash = memchr(s.p + i, '\\', s.n - i);
		size_t plain = slash ? (size_t)(slash - s.p) - i : s.n - i;
		strbuf_add(&b, s.p + i, plain);
		i += plain;
		if (!slash)
			break;
		char c = s.p[i + 1];  /* the lexer let no string end with a lone backslash */
		struct str rest = {s.p + i + 2, s.n - i - 2};
		const char *known = c ? strchr(from, c) : NULL;
		i += 2;
		if (known)
			strbuf_add(&b, &to[known - from], 1);
		else if (c == 'x' || c == 'u' || c == 'U')
			i += hex_escape(x, rest, c == 'x' ? 2 : c == 'u' ? 4 : 8, &b);
		else if (c >= '0' && c <= '7')
			i += octal_escape((struct str){rest.p - 1, rest.n + 1}, &b) - 1;
		else if (c != '\n')
			strbuf_add(&b, s.p + i - 2, 2);
	}
	return strbuf_get(&b);
}

static void
lex_string(struct lexer *x)
{
	char quote = x->in.p[x->at];
	size_t i = x->at + 1;
	while (i < x->in.n && x->in.p[i] != quote)
		i += x->in.p[i] == '\\' ? 2 : 1;
	if (i >= x->in.n)
		jinja_fail(x->c, "a string is not closed");
	push(x, T_STRING, unescape(x, (struct str){x->in.p + x->at + 1, i - x->at - 1}));
	x->at = i + 1;
}

static void
lex_number(struct lexer *x)
{
	const char *p = x->in.p + x->at, *end = x->in.p + x->in.n, *q = p;
	enum token_kind kind = T_INT;
	while (q < end && isdigit((unsigned char)*q))
		q++;
	if (end - q >= 2 && *q == '.' && isdigit((unsigned char)q[1])) {
		kind = T_FLOAT;
		for (q++; q < end && isdigit((unsigned char)*q); q++)
			;
	}
	const char *exp = q + 1 + (end - q > 1 && (q[1] == '+' || q[1] == '-'));
	if (q < end && (*q == 'e' || *q == 'E') && exp < end && isdigit((unsigned char)*exp)) {
		kind = T_FLOAT;
		for (q = exp; q < end && isdigit((unsigned char)*q); q++)
			;
	}
	if (q - p > 40)
		jinja_fail(x->c, "a number is too long");
	push(x, kind, (struct str){p, (size_t)(q - p)});
	x->at += (size_t)(q - p);
}

static void
lex_operator(struct lexer *x, char *stack, size_t *depth, size_t max)
{
	static const char *const two[] = {"==", "!=", ">=", "<=", "//", "**"};
	char c = x->in.p[x->at];
	size_t n = 1;
	for (size_t i = 0; i < sizeof two / sizeof *two; i++)
		if (looking_at(x, x->at, two[i]))
			n = 2;
	if (n == 1 && !(c && strchr("+-/*%~[](){}<>=.:|,", c)))
		jinja_fail(x->c, "unexpected character '%c'", isprint((unsigned char)c) ? c : '?');
	if (strchr("([{", c)) {
		if (*depth == max)
			jinja_fail(x->c, "brackets are nested too deeply");
		stack[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
	} else if (strchr(")]}", c) && (*depth == 0 || stack[--*depth] != c)) {
		jinja_fail(x->c, "unexpected '%c'", c);
	}
	push(x, T_OP, (struct str){x->in.p + x->at, n});
	x->at += n;
}

/* The tokens between delimiters, up to `end` ("%}" or "}}") and with it. */
static void
lex_inside(struct lexer *x, const char *end, enum token_kind end_kind)
{
	char stack[128];
	size_t depth = 0;
	for (;;) {
		skip_space(x);
		if (x->at >= x->in.n)
			jinja_fail(x->c, "a tag is not closed");
		count_lines(x, x->at);
		char c = x->in.p[x->at];
		bool sign = c == '-' || (c == '+' && end_kind == T_TAG_END);
		if (depth == 0 && looking_at(x, x->at + sign, end)) {
			push(x, end_kind, (struct str){end, 2});
			close_delimiter(x, x->at + sign, sign ? c : 0, end_kind == T_TAG_END);
			return;
		}
		if (c == '"' || c == '\'') {
			lex_string(x);
		} else if (isdigit((unsigned char)c)) {
			lex_number(x);
		} else if (isalpha((unsigned char)c) || c == '_') {
			size_t from = x->at;
			while (x->at < x->in.n &&
				(isalnum((unsigned char)x->in.p[x->at]) || x->in.p[x->at] == '_'))
				x->at++;
			push(x, T_NAME, (struct str){x->in.p + from, x->at - from});
		} else {
			lex_operator(x, stack, &depth, sizeof stack);
		}
	}
}

/* One opening delimiter at x->at, its text before it already pushed. */
static void
lex_delimiter(struct lexer *x, char kind, char sign)
{
	if (kind == '#') {
		lex_comment(x);
		return;
	}
	if (kind == '%' && lex_raw(x))
		return;
	bool out = kind == '{';
	push(x, out ? T_OUT : T_TAG, (struct str){x->in.p + x->at, 2});
	x->at += 2 + (sign != 0);
	lex_inside(x, out ? "}}" : "%}", out ? T_OUT_END : T_TAG_END);
}

/* Line ends become "\n", and one at the very end of the template goes. */
static struct str
normal_lines(struct jinja_ctx *c, struct str s)
{
	char *p = jinja_alloc(c, s.n + 1, 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			continue;
		p[n++] = s.p[i] == '\r' ? '\n' : s.p[i];
	}
	if (n && p[n - 1] == '\n')
		n--;
	return (struct str){p, n};
}

struct token *
jinja_lex(struct jinja_ctx *c, struct str text)
{
	struct lexer x = {.c = c, .in = normal_lines(c, text), .line_start = true};
	c->line = 1;
	for (;;) {
		size_t start = x.at, open = start;
		while (open + 1 < x.in.n && !(x.in.p[open] == '{' && strchr("{%#", x.in.p[open + 1])))
			open++;
		struct str before = {x.in.p + start, open - start};
		if (open + 1 >= x.in.n) {
			before.n = x.in.n - start;
			if (before.n)
				push(&x, T_TEXT, before);
			push(&x, T_END, (struct str){"", 0});
			return x.v;
		}
		char kind = x.in.p[open + 1], sign = open + 2 < x.in.n ? x.in.p[open + 2] : 0;
		sign = sign == '-' || sign == '+' ? sign : 0;
		before = strip_text(&x, before, sign, kind == '{');
		if (before.n)
			push(&x, T_TEXT, before);
		x.at = open;
		count_lines(&x, open);
		lex_delimiter(&x, kind, sign);
	}
}
