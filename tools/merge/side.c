#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/provenance.h"
#include "merge.h"

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

/* Configuration, tokenizer, chat template, model code and licence; never weights in another format, an
 * adapter's configuration, hidden files, or what tells where the base is from. */
static bool
is_wanted(const char *name)
{
	static const char *const ends[] = {".json", ".txt", ".model", ".jinja", ".tiktoken", ".py"};
	if (name[0] == '.' || ends_with(name, ".index.json") || strncmp(name, "adapter_", 8) == 0 ||
		strcmp(name, PROVENANCE_FILE) == 0)
		return false;
	if (strncmp(name, "LICENSE", 7) == 0 || strncmp(name, "NOTICE", 6) == 0)
		return true;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (ends_with(name, ends[i]))
			return true;
	return false;
}

/* Hub caches hold symbolic links, so it is asked what they lead to. */
static bool
is_regular(const char *dir, const char *name)
{
	struct stat st;
	char *path = path_join(dir, name);
	bool yes = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	free(path);
	return yes;
}

static int
order_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
side_files(const char *dir, char ***names, struct err *e)
{
	size_t n = 0, cap = 0;
	char **list = NULL;
	DIR *d = opendir(dir);
	if (!d)
		return err_sys(e, ERR_NOINPUT, "cannot read '%s'", dir);
	struct dirent *ent;
	while ((ent = readdir(d))) {
		if (!is_wanted(ent->d_name) || !is_regular(dir, ent->d_name))
			continue;
		GROW(list, cap, n + 2);
		list[n++] = xstrdup(ent->d_name);
	}
	closedir(d);
	GROW(list, cap, n + 1);
	list[n] = NULL;
	qsort(list, n, sizeof *list, order_names);
	*names = list;
	return 0;
}

void
side_free(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}
