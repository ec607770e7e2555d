/* tokenizer.json's post_processor: the ids that it puts around a text. TemplateProcessing (its "single"
 * form), RobertaProcessing, BertProcessing; ByteLevel changes no ids; Sequences with at most one that does. */
#ifndef HONE_TEXT_POSTPROCESS_H
#define HONE_TEXT_POSTPROCESS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { TEMPLATE_TEXT = -1, TEMPLATE_MAX = 64 };

/* What comes out for one text: ids, and TEMPLATE_TEXT where the text's own ids stand. */
struct postprocessor {
	int32_t item[TEMPLATE_MAX];
	size_t n;
};

/* Loads a component; null adds nothing. Ids are below `vocab_size`. */
int postprocessor_load(struct postprocessor *p, const json_t *j, size_t vocab_size, struct err *e);

#endif
