#include <errno.h>
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

/* Hub caches hold symbolic links, so it is asked what they lead to. What cannot be told is left for the copy to
 * fail at. */
static bool
is_regular(const char *dir, const char *name)
{
	struct stat st;
	char *path = path_join(dir, name);
	bool yes = stat(path, &st) == 0 ? S_ISREG(st.st_mode) : errno != ENOENT;
	free(path);
	return yes;
}

int
side_files(const char *dir, char ***names, struct err *e)
{
	size_t n = 0;
	char **list = dir_names(dir, NULL, e);
	if (!list)
		return -1;
	for (size_t i = 0; list[i]; i++)
		if (is_wanted(list[i]) && is_regular(dir, list[i]))
			list[n++] = list[i];
		else
			free(list[i]);
	list[n] = NULL;
	*names = list;
	return 0;
}
