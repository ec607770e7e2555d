/* --compare: figures of several sources in one table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/plain.h"
#include "eval.h"

enum { WIDTH = 12, NAME_SHOWN = 42 };

/* ---- which figures ---- */

static bool
is_compared(const char *key, const json_t *v)
{
	static const char *const left_out[] = {"epoch", "seconds", "tokens", "classification/unlabelled"};
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (strcmp(key, left_out[i]) == 0)
			return false;
	return json_is_number(v);
}

/* Keys that have a number in any source, in the order in which they come; values are ignored. */
static json_t *
union_of_keys(const struct subject *s, size_t n)
{
	json_t *keys = json_object();
	for (size_t i = 0; i < n; i++) {
		const char *key;
		json_t *v;
		json_object_foreach(s[i].figures, key, v)
			if (is_compared(key, v))
				json_object_set_new(keys, key, json_true());
	}
	return keys;
}

static bool
is_count(const struct subject *s, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (json_is_real(json_object_get(s[i].figures, key)))
			return false;
	return true;
}

/* ---- text ---- */

static void
print_value(const json_t *v, bool count)
{
	if (!json_is_number(v))
		printf(" %*s", WIDTH, "-");
	else if (count)
		printf(" %*lld", WIDTH, (long long)json_integer_value(v));
	else
		printf(" %*.4f", WIDTH, json_number_value(v));
}

static void
print_difference(const struct difference *d)
{
	if (isnan(d->difference))
		return;
	printf(" %+*.4f", WIDTH, d->difference);
	if (isfinite(d->interval.low))
		printf("  %+.4f to %+.4f", d->interval.low, d->interval.high);
	if (!isnan(d->p))
		printf("  p %.3g (%s)", d->p, test_name(d->test));
}

static void
print_name(const char *key)
{
	struct buf b = {0};
	buf_plain(&b, key);
	printf("%-*s", NAME_SHOWN, b.data);
	buf_release(&b);
}

static void
print_header(const struct subject *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		printf("%c  ", (int)('A' + i));
		plain_put(stdout, s[i].path);
		putchar('\n');
	}
	printf("\n%-*s", NAME_SHOWN, "");
	for (size_t i = 0; i < n; i++)
		printf(" %*c", WIDTH, (int)('A' + i));
	puts(n == 2 ? "        B - A  95 % and p" : "");
}

static int
print_table(struct subject *s, size_t n, const json_t *keys, struct err *e)
{
	const char *key;
	json_t *ignored;
	print_header(s, n);
	json_object_foreach((json_t *)keys, key, ignored) {
		bool count = is_count(s, n, key);
		struct difference d;
		print_name(key);
		for (size_t i = 0; i < n; i++)
			print_value(json_object_get(s[i].figures, key), count);
		if (n == 2 && !count) {
			if (difference_find(&d, &s[0], &s[1], key, e) < 0)
				return -1;
			print_difference(&d);
		}
		putchar('\n');
	}
	return 0;
}

/* ---- JSON ---- */

static json_t *
difference_json(const struct difference *d)
{
	json_t *interval = isfinite(d->interval.low) ? json_pack("[f, f]", d->interval.low, d->interval.high) : json_null();
	return json_pack("{s:o, s:o, s:s, s:o, s:I}", "difference", json_number(d->difference), "interval", interval, "test",
		test_name(d->test), "p", json_number(d->p), "rows", (json_int_t)d->rows);
}

static int
print_json(struct subject *s, size_t n, const json_t *keys, struct err *e)
{
	const char *key;
	json_t *ignored, *names = json_array(), *values = json_object(), *differences = json_object();
	int rc = 0;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(names, json_string(s[i].path));
	json_object_foreach((json_t *)keys, key, ignored) {
		struct difference d;
		json_t *row = json_array();
		for (size_t i = 0; i < n; i++) {
			json_t *v = json_object_get(s[i].figures, key);
			json_array_append(row, json_is_number(v) ? v : json_null());
		}
		json_object_set_new(values, key, row);
		if (n != 2 || is_count(s, n, key))
			continue;
		if ((rc = difference_find(&d, &s[0], &s[1], key, e)) < 0)
			break;
		if (!isnan(d.difference))
			json_object_set_new(differences, key, difference_json(&d));
	}
	json_t *o = json_pack("{s:o, s:o}", "compared", names, "figures", values);
	if (n == 2)
		json_object_set(o, "differences", differences);
	if (rc == 0) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
		putchar('\n');
	}
	json_decref(differences);
	json_decref(o);
	return rc;
}

int
compare(const char *const *paths, size_t n, struct err *e)
{
	struct subject *s = xcalloc(n, sizeof *s);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = subject_open(&s[i], paths[i], e);
	if (rc == 0) {
		json_t *keys = union_of_keys(s, n);
		rc = settings.json ? print_json(s, n, keys, e) : print_table(s, n, keys, e);
		json_decref(keys);
	}
	for (size_t i = 0; i < n; i++)
		subject_close(&s[i]);
	free(s);
	return rc;
}
