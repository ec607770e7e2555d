#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

struct pattern {
	char *source;     /* as the file has it */
	size_t n;
	bool literal;
	pcre2_code *code; /* NULL for a literal */
};

struct matcher {
	pcre2_match_data *data;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

/* Steps back that one match may take: a pattern may go back over megabytes of one character some times, but
 * not without end. The JIT's stack grows on demand up to its bound. */
enum { STEPS = 10000000, STEPS_A_BYTE = 64, STACK_START = 32 << 10, STACK_MAX = 64 << 20 };

/* The classes that the two libraries read differently, without the brackets. */
static const char *
class_text(char c)
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

/* Translates the escape at s[1]; how many characters of s it took, or -1. */
static int
translate_escape(const char *s, bool in_class, struct buf *out, struct err *e)
{
	const char *text = class_text(s[1]);
	if (text && s[1] == 'S') {
		buf_puts(out, "\\P{White_Space}");
		return 2;
	}
	if (text) {
		bool negated = s[1] >= 'A' && s[1] <= 'Z';
		if (negated && in_class)
			return err_set(e, ERR_CONFIG, "'\\%c' within a class is not supported", s[1]);
		buf_printf(out, in_class ? "%s" : negated ? "[^%s]" : "[%s]", text);
		return 2;
	}
	if (s[1] == 'u' && strspn(s + 2, "0123456789abcdefABCDEF") >= 4) {
		buf_printf(out, "\\x{%.4s}", s + 2);
		return 6;
	}
	if (strchr("uKRXGNyYOQE", s[1]))
		return err_set(e, ERR_CONFIG, "'\\%c' is not supported", s[1]);
	const char *close = strchr("pPx", s[1]) && s[2] == '{' ? strchr(s, '}') : NULL;
	size_t n = close ? (size_t)(close + 1 - s) : 2;
	buf_append(out, s, n);
	return (int)n;
}

/* What else means another thing in PCRE2 than it does in Ruby, at s: && and nested brackets in classes;
 * "{1,3}+", which repeats the repetition there and is possessive here; (?m), which lets a dot match line
 * feeds there. */
static int
refuse(const char *s, bool in_class, struct err *e)
{
	if (in_class && s[0] == '&' && s[1] == '&')
		return err_set(e, ERR_CONFIG, "'&&' within a class is not supported");
	if (in_class && s[0] == '[' && s[1] != ':')
		return err_set(e, ERR_CONFIG, "a class within a class is not supported");
	if (!in_class && s[0] == '}' && s[1] == '+')
		return err_set(e, ERR_CONFIG, "'+' behind a counted repetition is not supported");
	if (!in_class && s[0] == '(' && s[1] == '?' && memchr(s + 2, 'm', strspn(s + 2, "ixm-")))
		return err_set(e, ERR_CONFIG, "the option 'm' is not supported");
	return 0;
}

/* Copies what opens a class, with a bracket right behind it, which is a member; or a whole [:name:] within
 * one. */
static size_t
copy_bracket(const char *s, bool in_class, struct buf *out)
{
	const char *close = in_class ? strstr(s, ":]") : NULL;
	size_t n = close ? (size_t)(close + 2 - s) : s[1] == '^' ? 2 : 1;
	buf_append(out, s, n);
	if (in_class || s[n] != ']')
		return n;
	buf_puts(out, "\\]");
	return n + 1;
}

/* Ruby's syntax in PCRE2's words. */
static int
translate(const char *s, struct buf *out, struct err *e)
{
	bool in_class = false;
	while (*s) {
		if (refuse(s, in_class, e) < 0)
			return -1;
		if (*s == '\\' && !s[1])
			return err_set(e, ERR_CONFIG, "it ends with a backslash");
		if (*s == '\\') {
			int took = translate_escape(s, in_class, out, e);
			if (took < 0)
				return -1;
			s += took;
		} else if (*s == '[') {
			s += copy_bracket(s, in_class, out);
			in_class = true;
		} else {
			in_class &= *s != ']';
			buf_putc(out, *s++);
		}
	}
	return 0;
}

static int
compile(struct pattern *p, struct err *e)
{
	struct buf text = {0};
	if (strlen(p->source) != p->n)
		return err_set(e, ERR_CONFIG, "pattern holds a NUL");
	if (translate(p->source, &text, e) < 0) {
		buf_release(&text);
		return err_prefix(e, "pattern '%s': ", p->source);
	}
	int code;
	PCRE2_SIZE at;
	p->code = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.len,
		PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
	buf_release(&text);
	if (!p->code) {
		char msg[256] = "";
		pcre2_get_error_message(code, (PCRE2_UCHAR *)msg, sizeof msg);
		return err_set(e, ERR_CONFIG, "pattern '%s': %s", p->source, msg);
	}
	pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it the interpreter does the same, slower */
	return 0;
}

struct pattern *
pattern_load(const json_t *j, const char *what, struct err *e)
{
	const json_t *s = json_object_get(j, "String"), *r = json_object_get(j, "Regex"), *v = s ? s : r;
	if (!json_is_string(v) || json_object_size(j) != 1 || !json_string_length(v)) {
		err_set(e, ERR_CONFIG,
			"%s: 'pattern' is not {\"String\": ...} or {\"Regex\": ...} with some text", what);
		return NULL;
	}
	struct pattern *p = xcalloc(1, sizeof *p);
	p->n = json_string_length(v);
	p->source = xmalloc(p->n + 1);
	memcpy(p->source, json_string_value(v), p->n + 1);
	p->literal = s != NULL;
	if (!p->literal && compile(p, e) < 0) {
		err_prefix(e, "%s: ", what);
		pattern_free(p);
		return NULL;
	}
	return p;
}

void
pattern_free(struct pattern *p)
{
	if (!p)
		return;
	pcre2_code_free(p->code);
	free(p->source);
	free(p);
}

const char *
pattern_literal(const struct pattern *p, size_t *n)
{
	*n = p->n;
	return p->literal ? p->source : NULL;
}

const char *
pattern_regex(const struct pattern *p)
{
	return p->literal ? NULL : p->source;
}

static void *
must(void *p)
{
	return p ? p : xmalloc(SIZE_MAX);  /* ends the process */
}

struct matcher *
matcher_new(void)
{
	struct matcher *m = xcalloc(1, sizeof *m);
	m->data = must(pcre2_match_data_create(1, NULL));
	m->context = must(pcre2_match_context_create(NULL));
	m->stack = must(pcre2_jit_stack_create(STACK_START, STACK_MAX, NULL));
	pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return m;
}

void
matcher_free(struct matcher *m)
{
	if (!m)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	free(m);
}

void
matches_start(struct matches *it, const struct pattern *p, struct matcher *m, const char *text, size_t n)
{
	size_t limit = n < UINT32_MAX / (2 * STEPS_A_BYTE) ? STEPS + n * STEPS_A_BYTE : UINT32_MAX;
	*it = (struct matches){.pattern = p, .matcher = m, .text = text, .n = n};
	pcre2_set_match_limit(m->context, (uint32_t)limit);
}

static int
find_literal(struct matches *it, size_t *start, size_t *end)
{
	const struct pattern *p = it->pattern;
	const char *s = it->text + it->from, *stop = it->text + it->n;
	while ((size_t)(stop - s) >= p->n && (s = memchr(s, p->source[0], (size_t)(stop - s) - p->n + 1))) {
		if (!memcmp(s, p->source, p->n)) {
			*start = (size_t)(s - it->text);
			*end = *start + p->n;
			return 1;
		}
		s++;
	}
	return 0;
}

static int
find_regex(struct matches *it, size_t *start, size_t *end, struct err *e)
{
	struct matcher *m = it->matcher;
	int rc = pcre2_match(it->pattern->code, (PCRE2_SPTR)it->text, it->n, it->from, PCRE2_NO_UTF_CHECK,
		m->data, m->context);
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0)
		return err_set(e, ERR_DATA, "pattern '%s' gave up at byte %zu of %zu (PCRE2 error %d)",
			it->pattern->source, it->from, it->n, rc);
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->data);
	*start = v[0];
	*end = v[1] > v[0] ? v[1] : v[0];
	return 1;
}

int
matches_next(struct matches *it, size_t *start, size_t *end, struct err *e)
{
	while (it->from <= it->n) {
		int rc = it->pattern->literal ? find_literal(it, start, end) : find_regex(it, start, end, e);
		if (rc <= 0)
			return rc;
		if (*start == *end && it->any && *end == it->last_end) {
			uint32_t c;
			it->from += it->from < it->n ? uni_decode(it->text + it->from, &c) : 1;
			continue;
		}
		it->from = it->last_end = *end;
		it->any = true;
		return 1;
	}
	return 0;
}
