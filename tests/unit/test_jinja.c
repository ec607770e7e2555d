/* The template interpreter: what Jinja prints, as read off its documentation and Python's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "text/jinja.h"

static const char context[] =
	"{\"s\": \"Hello, w\\u00f6rld \\u4f60\\u597d\\u3000\", \"e\": \"\", \"n\": null, \"t\": true, \"f\": false, \"i\": 7,"
	" \"x\": 2.5, \"l\": [3, 1, 2], \"d\": {\"a\": 1, \"b\": [1, {\"z\": \"q\"}], \"items\": \"it\"},"
	" \"m\": [{\"role\": \"user\", \"c\": 1}, {\"role\": \"bot\", \"c\": 2}, {\"role\": \"user\", \"c\": 3}],"
	" \"q\": \"it's \\\"q\\\" \\\\ \\n\\u0001\"}";

/* Renders with the context above; 0, or the error's code with *e filled. */
static int
render(const char *text, struct buf *out, struct err *e)
{
	struct jinja *t = jinja_compile("T", text, strlen(text), e);
	if (!t)
		return e->code;
	json_t *o = json_read("context", context, strlen(context), e), *value;
	struct jinja_var v[16];
	size_t n = 0;
	const char *key;
	assert_non_null(o);
	json_object_foreach(o, key, value)
		v[n++] = (struct jinja_var){key, value};
	int rc = jinja_render(t, v, n, out, e);
	json_decref(o);
	jinja_free(t);
	return rc < 0 ? e->code : 0;
}

static void
check(const char *text, const char *want)
{
	struct buf out = {0};
	struct err e = {0};
	if (render(text, &out, &e) != 0)
		fail_msg("%s: %s", text, e.msg);
	if (strcmp(out.data, want) != 0)
		fail_msg("%s\n gives  %s\n wanted %s", text, out.data, want);
	buf_release(&out);
}

static void
check_error(const char *text, int code, const char *want)
{
	struct buf out = {0};
	struct err e = {0};
	buf_puts(&out, "before");
	int got = render(text, &out, &e);
	if (got != code || !strstr(e.msg, want))
		fail_msg("%s: code %d, '%s'; wanted %d, '%s'", text, got, e.msg, code, want);
	assert_string_equal(out.data, "before");
	buf_release(&out);
}

static void
test_expressions(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }}",
			"7 3 -4 2 3.5 3.0 1024"},
		{"{{ 'a' ~ 1 ~ none ~ true ~ 2.5 }} {{ 'a' + 'b' }} {{ 'ab' * 2 }} {{ [1] + [2] }}",
			"a1NoneTrue2.5 ab abab [1, 2]"},
		{"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ not 1 == 2 }} {{ 'a' not in 'abc' }}",
			"True False True True False"},
		{"{{ s[0] }}{{ s[-2] }} {{ s[1:4] }} {{ s[:-10][::-1] }} {{ l[::-1] }} {{ l[5:] }} {{ l[-1] }}",
			"H\xe5\xa5\xbd ell ,olleH [2, 1, 3] [] 2"},
		{"{{ d.a }} {{ d['b'][1].z }} {{ d['items'] }} {{ d.get('x', 'no') }} {{ d.get('x') }} {{ d.zz }}|",
			"1 q it no None |"},
		{"{{ 'y' if t else 'n' }} {{ 'y' if f }}| {{ f or 'x' }} {{ t and 0 }}", "y | x 0"},
		{"{{ {'a': [1, {'b': 2}]}.a[1].b }} {{ (1, 2) }} {{ (1,) }} {{ \"a\" 'b' }}", "2 (1, 2) (1,) ab"},
		{"{{ '\\U0001f600\\U0010FFFF' }}", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
		{"{{ '\\x41\\u4f60\\101\\t|\\q\\'' }}", "A\xe4\xbd\xa0"
			"A\t|\\q'"},
		{"{{ [1e22, 1.5e-7, 100.0, 0.1] }} {{ [q, n, t] }}",
			"[1e+22, 1.5e-07, 100.0, 0.1] ['it\\'s \"q\" \\\\ \\n\\x01', None, True]"},
		{"{{ i is defined and zz is not defined and n is none and s is string and d is mapping }}", "True"},
		{"{{ i is odd }} {{ i is divisibleby 7 }} {{ i in l }} {{ 3 is in l }} {{ t is integer }}",
			"True True False True False"},
		{"{{ s is iterable }} {{ d is sequence }} {{ t is number }} {{ x is float }} {{ 1 is true }}",
			"True True True True False"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check(cases[i][0], cases[i][1]);
}

static void
test_filters(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{{ s|trim|length }} {{ s|length }} {{ '\\u00a0\\u3000x\\n'|trim }}", "15 16 x"},
		{"{{ q|tojson }} {{ s|tojson }}",
			"\"it's \\\"q\\\" \\\\ \\n\\u0001\" \"Hello, w\xc3\xb6rld \xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x80\""},
		{"{{ d|tojson }}", "{\"a\": 1, \"b\": [1, {\"z\": \"q\"}], \"items\": \"it\"}"},
		{"{{ {'b': [1, {}], 'a': []}|tojson(indent=2) }}", "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}"},
		{"{{ {'b': 1, 'a': 2}|tojson(sort_keys=true, separators=(',', ':')) }}", "{\"a\":2,\"b\":1}"},
		{"{{ m|selectattr('role', 'equalto', 'user')|map(attribute='c')|join(',') }}", "1,3"},
		{"{{ m|rejectattr('c', 'gt', 1)|list|length }} {{ l|sort|join }} {{ l|select('odd')|list }}",
			"1 123 [3, 1]"},
		{"{{ zz|default('d') }}{{ e|default('d') }}{{ e|default('d', true) }}{{ n|default('d') }}", "ddNone"},
		{"{{ 'abcabc'|replace('b', 'x', 1) }} {{ 'aB c'|upper }} {{ 'AB'|lower }} {{ 'ab cd'|title }}",
			"axcabc AB C ab Ab Cd"},
		{"{{ '3.7'|int + 1 }} {{ 'x'|int(5) }} {{ 2.567|round(2) }} {{ l|first }}{{ l|last }}", "4 5 2.57 32"},
		{"{{ 'a\\n\\nb'|indent(2) }} {{ d|items|list|length }} {{ {'b': 1, 'A': 2}|dictsort }}",
			"a\n\n  b 3 [('A', 2), ('b', 1)]"},
		{"{{ ' a b '.split() }} {{ 'a,,b'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'xaxx'.strip('x') }}",
			"['a', 'b'] ['a', '', 'b'] ['a', 'b,c'] a"},
		{"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.find('c') }} {{ 'aa'.replace('a', 'b') }}",
			"True True 2 bb"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check(cases[i][0], cases[i][1]);
}

static void
test_statements(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{% for a in l %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }},{% endfor %}",
			"1TrueFalse,2FalseFalse3,3FalseTrue1,"},
		{"{% for a in l if a > 1 %}{{ loop.index }}/{{ loop.length }}:{{ a }} {% else %}none{% endfor %}",
			"1/2:3 2/2:2 "},
		{"{% for a in [] %}x{% else %}none{% endfor %}{% for k, v in d.items() %}{{ k }}{% endfor %}", "noneabitems"},
		{"{% for a in l %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% endfor %}"
			"{% for a in l %}{% if a == 1 %}{% break %}{% endif %}{{ a }}{% endfor %}", "323"},
		{"{% set v = 1 %}{% for a in l %}{% set v = v + a %}{{ v }}{% endfor %}{{ v }}", "4231"},
		{"{% set ns = namespace(c=0) %}{% for a in l %}{% set ns.c = ns.c + a %}{% endfor %}{{ ns.c }}", "6"},
		{"{% if f %}1{% elif n %}2{% elif t %}3{% else %}4{% endif %}", "3"},
		{"{% macro g(a, b='z') %}[{{ a }}{{ b }}]{% endmacro %}{{ g(1) }}{{ g(b=2, a=3) }}", "[1z][32]"},
		{"{% set y|upper|trim %} abc {% endset %}[{{ y }}]{% set a, b = 1, 2 %}{{ a }}{{ b }}", "[ABC]12"},
		{"{% raw %}{{ x }} {% if %}{% endraw %}{# c #}{% generation %}g{% endgeneration %}", "{{ x }} {% if %}g"},
		{"{% with a = 1 %}{{ a }}{% endwith %}{{ a is defined }}", "1False"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check(cases[i][0], cases[i][1]);
}

static void
test_white_space(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"  {% if t %}\n a\n  {% endif %}\n  b\n\n", " a\n  b\n"},
		{"a\n  {%- if t %}\n\n x {%- endif -%} \n\n y", "a\n x" "y"},
		{"a\n  {# c #}\nb {#- c -#} d", "a\nbd"},
		{"a\n  {%+ if t %}\n b{% endif +%}\nc", "a\n   b\nc"},
		{"x\n   {{ i }}\n y {{- i -}} z\n", "x\n   7\n y7z"},
		{"a\r\n{% if t %}\r\nb{% endif %}\r\n", "a\nb"},
		{"{{ '}}' }}{{ {'a': {'b': {}}} }}", "}}{'a': {'b': {}}}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check(cases[i][0], cases[i][1]);
}

static void
test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int code;
		const char *want;
	} cases[] = {
		{"a\n{% if t %}", ERR_CONFIG, "'T': line 2: a block that starts here has no 'endif'"},
		{"{{ 1", ERR_CONFIG, "line 1: a tag is not closed"},
		{"{% nope %}", ERR_CONFIG, "the tag 'nope' is unknown"},
		{"{{ 1 2 }}", ERR_CONFIG, "'2' stands where '}}' is wanted"},
		{"{% break %}", ERR_CONFIG, "'break' is not in a loop"},
		{"{{ (1] }}", ERR_CONFIG, "unexpected ']'"},
		{"{{ zz.y }}", ERR_DATA, "'zz' is undefined, so it has no 'y'"},
		{"\n\n{{ 'a' + 1 }}", ERR_DATA, "line 3: cannot add string and integer"},
		{"{{ none + 'a' }}", ERR_DATA, "cannot add none and string"},
		{"{{ zz + 'a' }}", ERR_DATA, "'zz' is undefined"},
		{"x{{ raise_exception('roles must alternate') }}", ERR_DATA, "'T': line 1: roles must alternate"},
		{"{{ l|nope }}", ERR_DATA, "the filter 'nope' is not supported"},
		{"{{ l.append(1) }}", ERR_DATA, "'append' is undefined and cannot be called"},
		{"{{ 1 // 0 }}", ERR_DATA, "division by zero"},
		{"{{ '\\U8e79082e' }}", ERR_CONFIG, "an escape that is no character"},
		{"{{ '\\U00110000' }}", ERR_CONFIG, "an escape that is no character"},
		{"{{ '\\ud800' }}", ERR_CONFIG, "an escape that is no character"},
		{"{{ '\\U0001f60' }}", ERR_CONFIG, "a wrong escape"},
		{"{{ 2.5|round(zz) }}", ERR_DATA, "'round' wants a number of digits, not undefined"},
		{"{{ 9223372036854775807 + 1 }}", ERR_DATA, "too large"},
		{"{% for a in 7 %}{% endfor %}", ERR_DATA, "cannot iterate over integer"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_error(cases[i].text, cases[i].code, cases[i].want);
}

/* A template that would run for ever, eat all memory or all stack ends with an error. */
static void
test_bounds(void **state)
{
	(void)state;
	check_error("{% macro r(n) %}{{ r(n + 1) }}{% endmacro %}{{ r(0) }}", ERR_DATA, "too deeply");
	check_error("{% set ns = namespace(v=[]) %}{% for i in range(5000) %}{% set ns.v = [ns.v] %}{% endfor %}", ERR_DATA,
		"nested too deeply");
	check_error("{% set ns = namespace(v='x') %}{% for i in range(99) %}{% set ns.v = ns.v + ns.v %}{% endfor %}",
		ERR_DATA, "MiB");
	check_error("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", ERR_DATA, "");
	check_error("{{ range(10 ** 9) }}", ERR_DATA, "more than 100000");
	check_error("{{ 'a' * 6666666666666 }}", ERR_DATA, "a repetition makes more than");
	check_error("{{ [0] * 9223372036854775807 * 3 }}", ERR_DATA, "a repetition makes more than");
	check_error("{{ (l * 3) * 9223372036854775807 }}", ERR_DATA, "a repetition makes more than");
	check_error("{% set s = 'ab' * 500000 %}{% for a in range(99999) %}{% if s.find('x') > 0 %}{% endif %}{% endfor %}",
		ERR_DATA, "too many steps");
	check_error("{% set s = 'ab' * 500000 %}{{ s.rfind(s[1:]) }}", ERR_DATA, "too many steps");
	struct buf deep = {0};
	for (int i = 0; i < 5000; i++)
		buf_puts(&deep, "{% if t %}");
	check_error(deep.data, ERR_CONFIG, "nested too deeply");
	buf_clear(&deep);
	buf_puts(&deep, "{{ 1");
	for (int i = 0; i < 5000; i++)
		buf_puts(&deep, " + 1");
	buf_puts(&deep, " }}");
	check_error(deep.data, ERR_DATA, "too deeply");
	buf_release(&deep);
}

static void
test_date(void **state)
{
	(void)state;
	assert_int_equal(setenv("SOURCE_DATE_EPOCH", "1700000000", 1), 0);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	check("{{ strftime_now('%d %b %Y') }}", "14 Nov 2023");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expressions), cmocka_unit_test(test_filters), cmocka_unit_test(test_statements),
		cmocka_unit_test(test_white_space), cmocka_unit_test(test_errors), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
