#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/regex.h"
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

static int
compile(struct pattern *p, struct err *e)
{
	struct buf text = {0};
	if (strlen(p->source) != p->n)
		return err_set(e, ERR_CONFIG, "pattern holds a NUL");
	if (regex_translate(p->source, &text, e) < 0) {
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
		return err_set(e, code == PCRE2_ERROR_HEAP_FAILED ? ERR_MEMORY : ERR_CONFIG, "pattern '%s': %s",
			p->source, msg);
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
