/* hone-pack: token streams to datasets, and looking into datasets. */
#ifndef HONE_PACK_H
#define HONE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

struct pack_options {
	const char *output, *validation_output;
	const char *overlong;      /* a name of FIT_POLICIES */
	int context;               /* 0: no limit */
	double validation;         /* the share of the rows, 0: none */
	bool dedup, allow_empty, force;
	int64_t shard_size;
	int level;
};

/* Packs the streams ("-": stdin) and tells on stderr what came of it. */
int pack_run(const struct pack_options *opt, const struct opt_list *streams, struct err *e);

/* An output must not be, or hold, an input: replacing it would take the input away. */
int pack_check_paths(const struct pack_options *opt, const struct opt_list *streams, struct err *e);

/* One line on stderr for a dataset just written. */
int pack_report(const char *dataset, struct err *e);

/* To stdout: a summary for people, or with `json` the same as one JSON object. */
int inspect_info(const char *dataset, bool json, struct err *e);

/* To stdout: the examples as JSON lines, which hone-pack makes the same dataset of again. */
int inspect_cat(const char *dataset, struct err *e);

#endif
