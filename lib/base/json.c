#include "base/json.h"

#include <math.h>

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* The text with ".0" behind whole numbers of more digits than 64 bits hold, which makes them reals. Hub files have
 * them: "model_max_length": 1000000000000000019884624838656. */
static void
write_as_reals(const char *text, size_t n, struct buf *out)
{
	bool in_string = false, in_number = false;
	size_t digits = 0;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit) {
			if (digits >= 19 && !in_number && !in_string && c != '.' && c != 'e' && c != 'E')
				buf_puts(out, ".0");
			/* What follows a point or an exponent belongs to a real. */
			in_number = c == '.' || c == 'e' || c == 'E' || (in_number && (c == '+' || c == '-'));
			digits = 0;
		}
		digits += digit;
		if (c == '"')
			in_string = !in_string;
		buf_putc(out, c);
		if (in_string && c == '\\' && i + 1 < n)
			buf_putc(out, text[++i]);
	}
}

void
json_use_xmalloc(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

json_t *
json_read(const char *name, const char *text, size_t n, struct err *e)
{
	enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };
	json_error_t je;
	json_t *o = json_loadb(text, n, FLAGS, &je);
	if (!o && json_error_code(&je) == json_error_numeric_overflow) {
		struct buf b = {0};
		write_as_reals(text, n, &b);
		o = json_loadb(b.data, b.len, FLAGS, &je);
		buf_release(&b);
	}
	if (!o)
		err_set(e, ERR_DATA, "'%s': line %d, column %d: %s", name, je.line, je.column, je.text);
	return o;
}

json_t *
json_read_file(const char *path, size_t max, struct err *e)
{
	struct buf b = {0};
	json_t *o = NULL;
	if (file_read(path, max, &b, e) == 0)
		o = json_read(path, b.data, b.len, e);
	buf_release(&b);
	return o;
}

int
json_read_optional(const char *path, size_t max, json_t **o, struct err *e)
{
	bool there = path_exists(path);
	*o = there ? json_read_file(path, max, e) : NULL;
	return there && !*o ? -1 : 0;
}

/* 17 digits always read back; 15 are enough for numbers that people write. */
static char *
shortest_text(const json_t *o, size_t flags)
{
	char *text = NULL;
	bool same = false;
	for (int digits = 15; digits <= 17 && !same; digits++) {
		free(text);
		text = json_dumps(o, flags | JSON_REAL_PRECISION(digits));
		json_t *back = json_loads(text, JSON_ALLOW_NUL, NULL);
		same = back && json_equal((json_t *)o, back);
		json_decref(back);
	}
	return text;
}

void
json_put(struct out *out, const json_t *o, size_t flags, const char *end)
{
	char *text = shortest_text(o, flags);
	out_puts(out, text);
	out_puts(out, end);
	free(text);
}

int
json_write_file(const char *path, bool force, const json_t *o, size_t flags, const char *end, struct err *e)
{
	struct out out;
	if (!o)
		return err_set(e, ERR_BUG, "'%s': cannot be written as JSON", path);
	if (out_open(&out, path, force, e) < 0)
		return -1;
	json_put(&out, o, flags, end);
	return out_commit(&out, e);
}

static int
wrong(const char *key, const char *want, struct err *e)
{
	return err_set(e, ERR_CONFIG, "'%s' is not %s", key, want);
}

int
json_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *out, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v))
		return wrong(key, "a whole number", e);
	int64_t x = json_integer_value(v);
	if (x < min || x > max)
		return err_set(e, ERR_CONFIG, "'%s' is %lld, not within %lld and %lld", key, (long long)x,
			(long long)min, (long long)max);
	*out = x;
	return 0;
}

int
json_get_double(const json_t *o, const char *key, double *out, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_number(v))
		return wrong(key, "a number", e);
	*out = json_number_value(v);
	return 0;
}

int
json_get_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_boolean(v))
		return wrong(key, "true or false", e);
	*out = json_is_true(v);
	return 0;
}

const char *
json_text(const json_t *v)
{
	const char *s = json_string_value(v);
	return s && strlen(s) == json_string_length(v) ? s : NULL;
}

int
json_get_string(const json_t *o, const char *key, const char **out, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return wrong(key, "a string", e);
	if (!json_text(v))
		return wrong(key, "a string without NUL", e);
	*out = json_text(v);
	return 0;
}

json_t *
json_number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}
