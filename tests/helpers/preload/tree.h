/* What is in a directory, by name, kind and content, for the fault driver. */
#ifndef HONE_TESTS_TREE_H
#define HONE_TESTS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree {
	struct tree_entry {
		char *path;    /* from the top, without "./" */
		char kind;     /* 'd', 'f', 'l' or '?' */
		uint64_t hash; /* of the content or the link; files are hashed without figures of speed and memory */
	} * entry;             /* sorted by path */
	size_t n, cap;
};

/* Reads the tree under `top`; dies on an error. */
void tree_read(struct tree *t, const char *top);
void tree_free(struct tree *t);

const struct tree_entry *tree_find(const struct tree *t, const char *path);

/* Whether both have the same at and below `path` ("": everything). */
bool tree_same(const struct tree *a, const struct tree *b, const char *path);

/* Whether a part of the path is a staging name, ".NAME.hone-PID". */
bool tree_is_staged(const char *path);

/* Makes `to`, which is not there, a copy of the directory `from`. */
void tree_copy(const char *from, const char *to);

#endif
