/* stdiff: compares the tensors of two safetensors files or model directories.
 *
 *   stdiff TOLERANCE A B [END...]
 *
 * Tensors whose names end with an END must be there, and may have any values. Prints the largest relative error |a - b| / |b| (norms of whole tensors) and its tensor. Exits 1 when it is
 * above the tolerance, or when a tensor is missing, extra, or of another shape; 2 when it cannot tell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/weights.h"

/* A file or a directory. */
struct side {
	struct st_file *file;
	struct weights *dir;
};

static int
side_open(struct side *s, const char *path)
{
	struct err e;
	*s = (struct side){0};
	if (path_is_dir(path))
		s->dir = weights_open(path, &e);
	else
		s->file = st_open(path, &e);
	if (s->dir || s->file)
		return 0;
	fprintf(stderr, "stdiff: %s\n", e.msg);
	return -1;
}

static void
side_close(struct side *s)
{
	weights_close(s->dir);
	st_close(s->file);
}

static size_t
side_count(const struct side *s)
{
	return s->dir ? weights_count(s->dir) : st_count(s->file);
}

static const struct st_tensor *
side_at(const struct side *s, size_t i)
{
	return s->dir ? weights_at(s->dir, i) : st_at(s->file, i);
}

/* By its own name only, not by an alias. */
static const struct st_tensor *
side_find(const struct side *s, const char *name)
{
	const struct st_tensor *t = s->dir ? weights_find(s->dir, name) : st_find(s->file, name);
	return t && strcmp(t->name, name) == 0 ? t : NULL;
}

static int
same_shape(const struct st_tensor *a, const struct st_tensor *b)
{
	return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

/* 0 for equal tensors, infinite for ones that have a NaN or differ where b is all zero. */
static double
relative_error(const struct st_tensor *a, const struct st_tensor *b)
{
	if (!st_is_float(a->dtype) || !st_is_float(b->dtype))
		return a->dtype == b->dtype && memcmp(a->data, b->data, a->bytes) == 0 ? 0 : INFINITY;
	double diff = 0, norm = 0;
	for (int64_t i = 0; i < st_elements(a); i++) {
		float x, y;
		st_to_f32(a, (size_t)i, 1, &x);
		st_to_f32(b, (size_t)i, 1, &y);
		diff += ((double)x - (double)y) * ((double)x - (double)y);
		norm += (double)y * (double)y;
	}
	double error = diff == 0 ? 0 : sqrt(diff / norm);
	return isnan(error) ? INFINITY : error;
}

static bool
ends_with_one(const char *name, char *const *ends)
{
	for (; *ends; ends++) {
		size_t n = strlen(name), k = strlen(*ends);
		if (n >= k && strcmp(name + n - k, *ends) == 0)
			return true;
	}
	return false;
}

static int
compare(const struct side *a, const struct side *b, double tolerance, char *const *any)
{
	double worst = 0;
	const char *where = "none";
	int failed = 0;
	for (size_t i = 0; i < side_count(b); i++) {
		const struct st_tensor *y = side_at(b, i), *x = side_find(a, y->name);
		if (!x || !same_shape(x, y)) {
			printf("%s: %s\n", y->name, x ? "another shape" : "missing");
			failed = 1;
			continue;
		}
		double error = ends_with_one(y->name, any) ? 0 : relative_error(x, y);
		if (error > worst) {
			worst = error;
			where = y->name;
		}
	}
	for (size_t i = 0; i < side_count(a); i++)
		if (!side_find(b, side_at(a, i)->name)) {
			printf("%s: extra\n", side_at(a, i)->name);
			failed = 1;
		}
	printf("%.3g %s\n", worst, where);
	return failed || worst > tolerance;
}

int
main(int argc, char **argv)
{
	struct side a, b;
	char *end = NULL;
	double tolerance = argc >= 4 ? strtod(argv[1], &end) : 0;
	if (argc < 4 || end == argv[1] || *end) {
		fprintf(stderr, "usage: stdiff TOLERANCE A B [END...]\n");
		return 2;
	}
	if (side_open(&a, argv[2]) < 0)
		return 2;
	if (side_open(&b, argv[3]) < 0) {
		side_close(&a);
		return 2;
	}
	int rc = compare(&a, &b, tolerance, argv + 4);
	side_close(&a);
	side_close(&b);
	return rc;
}
