/* Which base an adapter belongs to. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/adapter.h"

static const char *
noted_base(const struct adapter *a)
{
	return st_metadata(a->file, ADAPTER_BASE_KEY);
}

bool
adapter_notes_base(const struct adapter *a)
{
	return noted_base(a) != NULL;
}

int
adapter_check_base(const struct adapter *a, const char *fingerprint, struct err *e)
{
	const char *noted = noted_base(a), *name = a->config.base_model;
	if (!noted || strcmp(noted, fingerprint) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, "the adapter was trained on another base than this one: on '%s', whose fingerprint is %s, and "
		"this one's is %s; name its own base with -m, or insist with --allow-other-base", name ? name : "", noted, fingerprint);
}

int
adapter_fingerprint(const char *dir, char hex[HASH_HEX], struct err *e)
{
	char *path = path_join(dir, "adapter_model.safetensors");
	int rc = hash_file(path, hex, e);
	free(path);
	return rc;
}
