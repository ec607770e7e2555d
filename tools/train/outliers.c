#include "outliers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
outliers_init(struct outliers *o, int window)
{
	*o = (struct outliers){.window = window};
	o->loss = xcalloc((size_t)window, sizeof *o->loss);
	o->norm = xcalloc((size_t)window, sizeof *o->norm);
}

void
outliers_release(struct outliers *o)
{
	free(o->loss);
	free(o->norm);
	*o = (struct outliers){0};
}

/* Deviations above the mean. Where all are alike, rounding must not make an outlier. */
static double
score(const double *seen, int n, double x)
{
	double mean = 0, square = 0;
	for (int i = 0; i < n; i++)
		mean += seen[i] / n;
	for (int i = 0; i < n; i++)
		square += (seen[i] - mean) * (seen[i] - mean);
	return (x - mean) / fmax(sqrt(square / (n - 1)), 1e-6 * fabs(mean) + 1e-300);
}

const char *
outliers_find(const struct outliers *o, double loss, double norm, double zscore, double *z)
{
	if (o->n < 2 || o->n < o->window / 2)
		return NULL;
	*z = score(o->loss, o->n, loss);
	if (*z > zscore)
		return "loss";
	*z = score(o->norm, o->n, norm);
	return *z > zscore ? "grad_norm" : NULL;
}

static void
push(double *seen, int n, int window, double x)
{
	if (n == window)
		memmove(seen, seen + 1, (size_t)--n * sizeof *seen);
	seen[n] = x;
}

void
outliers_add(struct outliers *o, double loss, double norm)
{
	push(o->loss, o->n, o->window, loss);
	push(o->norm, o->n, o->window, norm);
	o->n += o->n < o->window;
}

/* ---- state.json ---- */

json_t *
outliers_json(const struct outliers *o)
{
	json_t *loss = json_array(), *norm = json_array();
	for (int i = 0; i < o->n; i++) {
		json_array_append_new(loss, json_real(o->loss[i]));
		json_array_append_new(norm, json_real(o->norm[i]));
	}
	return json_pack("{s:o, s:o}", "loss", loss, "grad_norm", norm);
}

int
outliers_load(struct outliers *o, const json_t *from, struct err *e)
{
	const json_t *loss = json_object_get(from, "loss"), *norm = json_object_get(from, "grad_norm");
	size_t n = json_array_size(loss);
	if (json_array_size(norm) != n || n > (size_t)o->window)
		return err_set(e, ERR_DATA, "'outliers' does not hold two lists of the same length, at most %d", o->window);
	for (size_t i = 0; i < n; i++) {
		if (!json_is_number(json_array_get(loss, i)) || !json_is_number(json_array_get(norm, i)))
			return err_set(e, ERR_DATA, "'outliers' holds something that is not a number");
		outliers_add(o, json_number_value(json_array_get(loss, i)), json_number_value(json_array_get(norm, i)));
	}
	return 0;
}
