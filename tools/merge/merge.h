/* hone-merge: what its parts share. plan.c decides what becomes of every tensor of the base, tensor.c
 * computes one, output.c writes the directory, verify.c compares one that is there. */
#ifndef HONE_TOOLS_MERGE_H
#define HONE_TOOLS_MERGE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "fmt/adapter.h"
#include "fmt/weights.h"

struct merge_options {
	const char *model, *output;
	int hold;                    /* of the model (base/dir_read.h): some of its files are copied at the end */
	const char *const *adapter;  /* [n_adapters] directories */
	const double *weight;        /* [n_adapters] factors on their scales */
	size_t n_adapters;
	bool convert;                /* every floating tensor becomes `dtype` */
	enum st_dtype dtype;
	bool untie;                  /* store input embedding and output head apart */
	bool other_base;             /* adapters need not have been trained on this one */
};

/* weight·scale·(B@A), to be added to one tensor; transposed when that is stored as [in, out]. */
struct delta {
	const struct adapter_module *module;
	double weight;
	bool transposed;
};

/* One tensor of the output. */
struct job {
	const char *name;
	size_t file;                    /* index among the base's files */
	const struct st_tensor *from;   /* the base's tensor, or the one of an adapter that replaces it */
	enum st_dtype dtype;            /* of the output */
	int saved_by;                   /* the adapter that replaced it; -1: none */
	int last_adapter;               /* the last that added a delta; -1: none */
	struct delta *delta;
	size_t n_deltas, cap_deltas;
};

struct plan {
	const struct merge_options *opt;
	json_t *config;              /* config.json as the output will have it */
	bool config_changed;
	struct weights *base;
	struct adapter *adapter;     /* [opt->n_adapters] */
	struct job *job;             /* [n_jobs] in order of file, then of the data */
	struct job **by_name;        /* [n_jobs] sorted */
	size_t n_jobs;
	char *untied_name;           /* the tensor that the base does not store; NULL: none is added */
};

/* Opens everything and holds it against each other, before any work. Call plan_release also on failure. */
int plan_make(struct plan *p, const struct merge_options *opt, struct err *e);
void plan_release(struct plan *p);
struct job *plan_find(const struct plan *p, const char *name);  /* NULL when absent */
size_t job_bytes(const struct job *j);

/* tie.c: whether a module (its last name) is the input embedding, or the output head. */
bool is_embedding(const char *module);
bool is_head(const char *module);

/* Refuses adapters of a tied embedding, or with --untie adds the missing one of the two to p->job. */
int plan_untie(struct plan *p, struct err *e);

/* Computes one tensor and hands it to `put` piece by piece, in memory that does not grow with the tensor. */
typedef int put_fn(void *ctx, const void *data, size_t bytes, struct err *e);
int merge_tensor(const struct job *j, put_fn *put, void *ctx, struct err *e);

/* Refuses to replace (--force) what a slip of the hand has named: all but a missing name and a model directory. */
int check_replaceable(const char *path, struct err *e);

/* Steals `settings`, which the output tells of itself. */
int write_output(const struct plan *p, bool force, json_t *settings, struct err *e);
int verify_output(const struct plan *p, struct err *e);

/* side.c: the files beside the weights (configuration, tokenizer, licence): copied or compared. The names are
 * sorted and end with NULL; *names is new and so is each name. */
int side_files(const char *dir, char ***names, struct err *e);

#endif
