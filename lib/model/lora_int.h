/* What lora.c (memory and values), lora_choose.c (names) and lora_file.c (PEFT's files) share. */
#ifndef HONE_MODEL_LORA_INT_H
#define HONE_MODEL_LORA_INT_H

#include "model/lora.h"

struct linear *lora_find_module(const struct model *m, const char *name, size_t length);

/* The length of a parameter's module in its name: without ".weight" or ".bias". */
size_t lora_module_length(const struct param *p);

/* Whether the adapter has a value of its own for a parameter of the base: its module is one of modules_to_save or
 * within one, or it is one of the biases that are trained. */
bool lora_replaces(const struct model *m, const struct adapter_config *c, const struct param *p);

/* Gives each chosen module its struct lora, without memory for values, and a tied head a table of its own when
 * modules_to_save asks for it. `strict`: every name must mean something in this model. */
int lora_choose(struct model *m, const struct adapter_config *c, bool strict, struct err *e);

/* Memory for what was chosen, where base values are copied to; and the list of what is trained. */
void lora_take_memory(struct model *m, const struct adapter_config *c, bool train);

#endif
