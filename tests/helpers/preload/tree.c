#define _GNU_SOURCE
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { FILE_MAX = 1 << 30 };

/* ---- reading ---- */

/* Cuts `"KEY": NUMBER,` out of a text, wherever it is. */
static void
cut_member(struct buf *b, const char *key)
{
	char *at = b->data;
	size_t n = strlen(key);
	while ((at = memmem(at, (size_t)(b->data + b->len - at), key, n))) {
		char *end = at + n + strcspn(at + n, ",}");
		memmove(at, end, (size_t)(b->data + b->len - end) + 1);
		b->len -= (size_t)(end - at);
	}
}

/* The line of a manifest that has the hash of a log, which holds such members. */
static void
cut_log_hash(struct buf *b)
{
	static const char end[] = "  metrics.jsonl\n";
	enum { HASH = 32 };
	char *at = memmem(b->data, b->len, end, sizeof end - 1);
	if (!at || at - b->data < HASH)
		return;
	char *rest = at + sizeof end - 1;
	memmove(at - HASH, rest, (size_t)(b->data + b->len - rest) + 1);
	b->len -= sizeof end - 1 + HASH;
}

static uint64_t
hash_file(const char *path)
{
	struct buf b = {0};
	struct err e;
	if (file_read(path, FILE_MAX, &b, &e) < 0)
		die(&e);
	static const char *const volatile_keys[] = {
		"\"tokens_per_second\":", "\"peak_rss_bytes\":", "\"seconds\":", "\"elapsed_seconds\":"};
	for (size_t i = 0; i < sizeof volatile_keys / sizeof *volatile_keys; i++)
		cut_member(&b, volatile_keys[i]);
	cut_log_hash(&b);
	uint64_t hash = XXH3_64bits(b.data, b.len);
	buf_release(&b);
	return hash;
}

static uint64_t
hash_link(const char *path)
{
	char to[4096];
	ssize_t n = readlink(path, to, sizeof to);
	return XXH3_64bits(to, n > 0 ? (size_t)n : 0);
}

static void read_dir(struct tree *t, const char *top, const char *path);

static void
add(struct tree *t, const char *top, const char *path)
{
	struct stat st;
	char *full = path_join(top, path);
	if (lstat(full, &st) < 0)
		die(&(struct err){1, "a file has gone while its tree was read"});
	struct tree_entry x = {.path = xstrdup(path), .kind = '?'};
	if (S_ISREG(st.st_mode)) {
		x.kind = 'f';
		x.hash = hash_file(full) ^ (st.st_mode & 0777);
	} else if (S_ISLNK(st.st_mode)) {
		x.kind = 'l';
		x.hash = hash_link(full);
	} else if (S_ISDIR(st.st_mode)) {
		x.kind = 'd';
		x.hash = st.st_mode & 0777;
	}
	GROW(t->entry, t->cap, t->n + 1);
	t->entry[t->n++] = x;
	free(full);
	if (x.kind == 'd')
		read_dir(t, top, path);
}

static void
read_dir(struct tree *t, const char *top, const char *path)
{
	char *full = *path ? path_join(top, path) : xstrdup(top);
	DIR *d = opendir(full);
	if (!d) {
		fprintf(stderr, "faults: cannot read '%s'\n", full);
		exit(2);
	}
	for (struct dirent *ent; (ent = readdir(d));) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		char *child = *path ? path_join(path, ent->d_name) : xstrdup(ent->d_name);
		add(t, top, child);
		free(child);
	}
	closedir(d);
	free(full);
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

void
tree_read(struct tree *t, const char *top)
{
	*t = (struct tree){0};
	GROW(t->entry, t->cap, 1);
	read_dir(t, top, "");
	qsort(t->entry, t->n, sizeof *t->entry, by_path);
}

void
tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->entry[i].path);
	free(t->entry);
	*t = (struct tree){0};
}

/* ---- comparing ---- */

const struct tree_entry *
tree_find(const struct tree *t, const char *path)
{
	struct tree_entry key = {.path = (char *)path};
	return bsearch(&key, t->entry, t->n, sizeof *t->entry, by_path);
}

static bool
is_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	return n == 0 || (strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

/* Whether all that a has at and below `path` is the same in b. */
static bool
is_part(const struct tree *a, const struct tree *b, const char *path)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct tree_entry *x = &a->entry[i];
		const struct tree_entry *y = is_below(x->path, path) ? tree_find(b, x->path) : x;
		if (!y || y->kind != x->kind || y->hash != x->hash)
			return false;
	}
	return true;
}

bool
tree_same(const struct tree *a, const struct tree *b, const char *path)
{
	return is_part(a, b, path) && is_part(b, a, path);
}

bool
tree_is_staged(const char *path)
{
	for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/') {
		char *mark = *at == '.' ? memmem(at, strcspn(at, "/"), ".hone-", 6) : NULL;
		if (mark && mark[6] >= '1' && mark[6] <= '9')
			return true;
	}
	return false;
}

/* ---- copying ---- */

static void
copy_file(const char *from, const char *to, mode_t mode)
{
	struct buf b = {0};
	struct err e;
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (file_read(from, FILE_MAX, &b, &e) < 0)
		die(&e);
	if (fd < 0 || fd_write_all(fd, b.data, b.len) < 0 || fchmod(fd, mode) < 0 || close(fd) < 0) {
		err_sys(&e, 2, "cannot copy to '%s'", to);
		die(&e);
	}
	buf_release(&b);
}

static void
copy_link(const char *from, const char *to)
{
	char link[4096];
	ssize_t n = readlink(from, link, sizeof link - 1);
	link[n > 0 ? n : 0] = 0;
	if (symlink(link, to) < 0)
		die(&(struct err){2, "cannot copy a symbolic link"});
}

void
tree_copy(const char *from, const char *to)
{
	DIR *d = opendir(from);
	struct stat st;
	struct err e;
	if (!d || stat(from, &st) < 0 || mkdir(to, 0700) < 0) {
		err_sys(&e, 2, "cannot copy '%s' to '%s'", from, to);
		die(&e);
	}
	for (struct dirent *ent; (ent = readdir(d));) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		char *a = path_join(from, ent->d_name), *b = path_join(to, ent->d_name);
		struct stat child;
		if (lstat(a, &child) == 0 && S_ISDIR(child.st_mode))
			tree_copy(a, b);
		else if (S_ISLNK(child.st_mode))
			copy_link(a, b);
		else
			copy_file(a, b, child.st_mode & 0777);
		free(a);
		free(b);
	}
	closedir(d);
	chmod(to, st.st_mode & 0777);
}
