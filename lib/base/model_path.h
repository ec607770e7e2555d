/* Where a model is: what -m and --model take. Never the network. */
#ifndef HONE_BASE_MODEL_PATH_H
#define HONE_BASE_MODEL_PATH_H

#include "base/err.h"

/* The path of a model: `name` itself when it is there (a directory, or a file as tokenizer.json);
 * "org/name" in the Hub caches $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub, at the commit that
 * refs/main tells; a name under one of the directories of $HONE_MODEL_PATH (separated by colons). The
 * first that exists; the caller frees. NULL and ERR_NOINPUT, with the nearest name that there is and
 * every place that was looked at, when there is none. */
char *model_path(const char *name, struct err *e);

#endif
