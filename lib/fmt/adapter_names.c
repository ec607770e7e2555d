/* Which modules an adapter is for, and with which rank: PEFT's rules for names and patterns. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "fmt/adapter.h"

/* Whether the pattern matches the subject: as a whole, or only its beginning. *number_out, unless NULL, gets
 * the value of the first group. 1, 0, or -1 when it is not a regular expression, or takes too long. */
static int
regex_match(const char *pattern, const char *subject, bool whole, int64_t *number_out, struct err *e)
{
	int code;
	PCRE2_SIZE at;
	uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | (whole ? PCRE2_ENDANCHORED : 0);
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
	if (!re) {
		char why[128];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
		return err_set(e, code == PCRE2_ERROR_HEAP_FAILED ? ERR_MEMORY : ERR_CONFIG,
			"'%s' is not a regular expression: %s", pattern, why);
	}
	pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
	if (!m)
		mem_die(sizeof(PCRE2_SIZE));
	int rc = pcre2_match(re, (PCRE2_SPTR)subject, PCRE2_ZERO_TERMINATED, 0, 0, m, NULL);
	if (rc > 1 && number_out)
		*number_out = strtoll(subject + pcre2_get_ovector_pointer(m)[2], NULL, 10);
	pcre2_match_data_free(m);
	pcre2_code_free(re);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return err_set(e, ERR_CONFIG, "'%s' cannot be matched with '%s' (PCRE2 error %d)", pattern,
			subject, rc);
	return rc >= 0;
}

/* The value of the first key that matches the module, or its end after a dot; NULL when none does. */
static int
find_pattern(const json_t *patterns, const char *module, const json_t **value, struct err *e)
{
	const char *key;
	json_t *v;
	*value = NULL;
	json_object_foreach((json_t *)patterns, key, v) {
		char *pattern = xasprintf("(.*\\.)?(%s)$", key);
		int rc = regex_match(pattern, module, true, NULL, e);
		free(pattern);
		if (rc < 0)
			return -1;
		if (rc) {
			*value = v;
			return 0;
		}
	}
	return 0;
}

int
adapter_rank(const struct adapter_config *c, const char *module, int *r, double *scale, struct err *e)
{
	const json_t *rank, *alpha;
	if (find_pattern(c->rank_pattern, module, &rank, e) < 0 ||
		find_pattern(c->alpha_pattern, module, &alpha, e) < 0)
		return -1;
	*r = rank ? (int)json_integer_value(rank) : c->r;
	double a = alpha ? json_number_value(alpha) : c->lora_alpha;
	*scale = c->use_rslora ? a / sqrt(*r) : a / *r;
	return 0;
}

/* Whether `module` is `name`, or ends with it after a dot. */
static bool
ends_with_name(const char *module, const char *name)
{
	size_t n = strlen(module), k = strlen(name);
	return n > k && module[n - k - 1] == '.' && strcmp(module + n - k, name) == 0;
}

enum { NOT_LISTED, LISTED_EXACTLY, LISTED_BY_END };

static int
listed(const json_t *list, const char *module)
{
	size_t i;
	json_t *v;
	int found = NOT_LISTED;
	json_array_foreach((json_t *)list, i, v) {
		if (strcmp(json_string_value(v), module) == 0)
			return LISTED_EXACTLY;
		if (ends_with_name(module, json_string_value(v)))
			found = LISTED_BY_END;
	}
	return found;
}

/* The number of the layer that a module belongs to, by layers_pattern: 1, 0 when it has none, or -1. */
static int
layer_of(const struct adapter_config *c, const char *module, int64_t *layer, struct err *e)
{
	const json_t *p = json_object_get(c->root, "layers_pattern");
	size_t n = json_is_array(p) ? json_array_size(p) : json_string_length(p) > 0;
	if (n == 0)
		return regex_match(".*?\\.[^.]*\\.([0-9]+)\\.", module, false, layer, e);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *name = json_string_value(json_is_array(p) ? json_array_get(p, i) : p);
		char *pattern = xasprintf("(?:^|.*?\\.)(?:%s)\\.([0-9]+)\\.", name);
		rc = regex_match(pattern, module, false, layer, e);
		free(pattern);
	}
	return rc;
}

static int
layer_chosen(const struct adapter_config *c, const char *module, struct err *e)
{
	const json_t *want = c->layers_to_transform;
	int64_t layer = 0;
	if (!want || (json_is_array(want) && json_array_size(want) == 0))
		return 1;
	int rc = layer_of(c, module, &layer, e);
	if (rc <= 0)
		return rc;
	if (json_is_integer(want))
		return json_integer_value(want) == layer;
	for (size_t i = 0; i < json_array_size(want); i++)
		if (json_integer_value(json_array_get(want, i)) == layer)
			return 1;
	return 0;
}

int
adapter_targets(const struct adapter_config *c, const char *module, bool output_head, struct err *e)
{
	const char *excluded = json_string_value(c->exclude_modules),
		   *target = json_string_value(c->target_modules);
	int rc = excluded ? regex_match(excluded, module, true, NULL, e)
			  : listed(c->exclude_modules, module) != 0;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (target && strcasecmp(target, "all-linear") == 0)
		return !output_head;
	if (target)
		return regex_match(target, module, true, NULL, e);
	int how = listed(c->target_modules, module);
	return how == LISTED_BY_END ? layer_chosen(c, module, e) : how == LISTED_EXACTLY;
}
