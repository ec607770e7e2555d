/* A list of labels in a file, for data that do not show all of them: a JSON array of strings, or text with one label a
 * line. A label stands there as the completion would show it, leading space included; its name is without the space
 * around it. */
#ifndef HONE_TEXT_LABEL_LIST_H
#define HONE_TEXT_LABEL_LIST_H

#include <stdbool.h>

#include "base/err.h"
#include "fmt/dataset.h"

struct label_list {
	struct label *v;  /* [n] in order of name; count 0 */
	size_t n, cap;
};

/* Whether a file holds such a list and not a dataset or records: by its name for a directory, else by its first bytes. */
bool label_list_is(const char *path);

/* Reads the list and tokenises it with the tokenizer of model_dir, as hone-tokenize does completions. ERR_DATA for an empty
 * list, a label twice, or one without tokens. The caller releases *l, also after a failure. */
int label_list_read(struct label_list *l, const char *path, const char *model_dir, struct err *e);

/* Holds it against the label table of data, in order of name, too: a label of both has the tokens that the data show, and
 * with `add` what only the data have is added. */
void label_list_join(struct label_list *l, const struct label *data, size_t n, bool add);
void label_list_release(struct label_list *l);

#endif
