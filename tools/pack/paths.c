#include <string.h>

#include "base/file.h"
#include "pack.h"

int
pack_check_paths(const struct pack_options *opt, const struct opt_list *streams, struct err *e)
{
	const char *outputs[] = {opt->output, opt->validation_output};
	if (outputs[1] && (strcmp(outputs[0], outputs[1]) == 0 || path_is_within(outputs[0], outputs[1]) ||
		path_is_within(outputs[1], outputs[0])))
		return err_set(e, ERR_USAGE, "'%s' and '%s' are one output, or one holds the other", outputs[0],
			outputs[1]);
	for (size_t i = 0; i < streams->n; i++)
		for (int k = 0; k < 2; k++)
			if (outputs[k] && strcmp(streams->item[i], "-") != 0 && path_is_within(streams->item[i], outputs[k]))
				return err_set(e, ERR_CANTCREAT, "'%s' holds the input '%s'; name another output",
					outputs[k], streams->item[i]);
	return 0;
}
