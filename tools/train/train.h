/* hone-train: what its files share. main.c has the order of work; options.c the command line; settings.c works out what
 * was left to defaults; adapter.c makes the adapter; data.c opens the datasets; rundir.c keeps the run directory, identity.c tells what it is of; checkpoint.c and
 * state.c save and resume; export.c writes what other programs load; loop.c trains, step.c computes a step;
 * validate.c evaluates; dryrun.c tells what a run would take. */
#ifndef HONE_TOOLS_TRAIN_H
#define HONE_TOOLS_TRAIN_H

#include <jansson.h>

#include "base/opt.h"
#include "base/progress.h"
#include "eval/evaluate.h"
#include "eval/metrics.h"
#include "eval/results_csv.h"
#include "fmt/adapter.h"
#include "fmt/dataset.h"
#include "model/batch.h"
#include "model/model.h"
#include "model/optimizer.h"
#include "model/plan.h"
#include "model/schedule.h"
#include "outliers.h"
#include "text/ingest.h"

/* The command line. Where 0 or NULL means "by default", settings.c puts the effective value in its place. */
struct settings {
	const char *model, *run, *suffix;
	struct opt_list train, valid;
	double validation_split;
	const char *method, *init_adapter;
	bool from_scratch;

	int n_epochs, batch_size, gradient_accumulation_steps, max_steps;
	double learning_rate, learning_rate_multiplier;
	const char *schedule;
	double min_lr, min_lr_rate;
	int warmup_steps;
	double warmup_ratio, weight_decay, max_grad_norm;
	bool weight_decay_given, warmup_steps_given, dtype_given;
	const char *optimizer;
	double adam_beta1, adam_beta2, adam_epsilon, momentum;

	double outlier_zscore;
	int outlier_window;
	const char *outlier_action;

	int lora_r;
	double lora_alpha, lora_dropout, loraplus_lr_ratio;
	const char *target_modules, *exclude_modules, *modules_to_save, *layers_to_transform;
	const char *rank_pattern, *alpha_pattern, *lora_bias, *init_lora_weights;
	bool use_rslora, use_dora;
	double neftune_noise_alpha;

	const char *dtype, *load_in_bits;
	bool gradient_checkpointing;
	int micro_tokens;
	const char *keep_packed;

	const char *eval_strategy;
	bool classification;
	int n_classes;
	const char *labels, *positive_class, *betas, *label_score;
	const char *metric_for_best_model;
	bool greater_is_better, greater_given, load_best_model_at_end;
	int early_stopping_patience;
	double early_stopping_threshold;

	const char *save_strategy;
	int eval_steps, save_steps, save_total_limit, logging_steps, max_train_samples, max_eval_samples;
	int seed;
	bool shuffle, dry_run, save_strategy_given, other_base, other_tokenizer;
	const char *deadline;

	const char *template, *train_on, *overlong;
	double prompt_loss_weight;
	int max_length;
};

/* What a step brought, for the logs. */
struct figures {
	double loss;                     /* mean over the step's targets, by weight */
	double sequence_accuracy, token_accuracy;
};

/* A run under way. */
struct run {
	struct settings *set;
	const char *model_dir;
	int hold;  /* of it, until all is opened (base/dir_read.h) */

	struct model model;
	struct progress files;           /* of loading and saving */
	struct adapter_config adapter;   /* with --method lora */
	bool full;
	char init_adapter[HASH_HEX];      /* the hash of its tensors' file; empty without --init-adapter */
	struct ingested train_data, valid_data;
	struct dataset *train, *valid;   /* theirs; valid may be NULL */
	struct plan plan;
	struct optimizer optimizer;
	struct schedule schedule;
	int64_t steps_per_epoch, total_steps;
	int rows;                        /* of a micro-batch, at most */

	struct label_set labels;         /* K = 0 without classification */
	struct metrics_betas betas;
	int positive;                    /* class, or -1 */
	struct eval_options eval;
	char *best_metric;               /* the key of an eval event that best/ is chosen by; NULL without validation */
	bool greater_is_better;

	/* Progress; all of it is in a checkpoint (state.c). */
	int64_t step;                    /* optimiser steps done */
	int64_t elapsed_tokens, elapsed_examples;
	double best_value;               /* of best_metric; NAN: none yet */
	int64_t best_step;
	int stale;                       /* evaluations in a row without improvement */
	bool ended;                      /* stopped early: no more steps */
	bool due;                        /* what follows the step (evaluation, rows, checkpoint) is still to do ... */
	struct figures last;             /* ... with these */
	struct outliers outliers;

	/* The run directory. */
	int lock_fd, metrics_fd;
	bool fresh;                      /* we made it, and nothing in it is worth keeping yet */
	struct results_csv results;
	double started, deadline;        /* on clock_seconds(); deadline 0: none */
	double seconds_before;           /* that the run took until it was resumed */
	char validation_text[96];        /* figures of the last evaluation, for the progress line */
};

/* ---- options.c ---- */

extern const struct opt_spec train_spec;
extern struct settings settings;  /* what the option table fills */

/* ---- settings.c ---- */

/* Contradictions that need no file, and defaults that need none; ends the process with a usage error. */
void settings_check(struct settings *s);

/* Values that depend on the model's and the data's size. */
void settings_complete(struct run *r);
struct optimizer_options settings_optimizer(const struct settings *s);

/* Seconds on clock_seconds() of "2h", "90m", "45s" or the next "06:00"; 0 for NULL; ends the process when it is none. */
double settings_deadline(const char *text);

/* ---- adapter.c ---- */

/* Mistakes in the adapter's options that need no model; ends the process with a usage error. */
void adapter_check(const struct settings *s);

/* Puts a new adapter, or the one of --init-adapter, on the model. */
int adapter_attach(struct run *r, struct err *e);

/* ---- data.c ---- */

/* Opens -t and -v, packing what is not a dataset into RUN on the way, and holds them against the model. */
int data_open(struct run *r, struct err *e);

/* ---- identity.c: run.json, and what the outputs tell of where they are from ---- */

/* Holds run.json against this run's settings and data, or writes it when the run is new. */
int identity_settle(struct run *r, struct err *e);

/* The provenance of what is written from now on; a new reference. */
json_t *identity_provenance(const struct run *r);

/* ---- rundir.c ---- */

/* Makes the directory, or takes up an existing one of the same settings, and locks it. */
int rundir_open(struct run *r, struct err *e);

/* Whether the run there is finished. */
bool rundir_finished(const struct run *r);
bool rundir_has(const struct run *r, const char *name);

/* Opens metrics.jsonl and results.csv, without what lies beyond r->step, or what is due of it. */
int rundir_logs(struct run *r, struct err *e);

/* Appends an event to metrics.jsonl; steals it. */
int rundir_event(struct run *r, json_t *event, struct err *e);
int rundir_sync(struct run *r, struct err *e);  /* both logs, before the checkpoint that stands behind them */
char *rundir_path(const struct run *r, const char *name);  /* new */

/* Removes a directory that is still fresh: a mistake found before the first step leaves nothing behind. */
void rundir_discard(struct run *r);
void rundir_close(struct run *r);

/* ---- space.c ---- */

/* ERR_IO when the file system has not the room that checkpoints and results will take. */
int space_check(const struct run *r, struct err *e);

/* ---- export.c ---- */

/* Writes the trained model into an existing directory, as other tools load it: a PEFT adapter or a Hub model. `exact`
 * keeps fp32. ERR_DATA when a weight is not finite. */
int export_model(const struct run *r, const char *dir, bool exact, struct err *e);
int export_publish(struct run *r, const char *name, struct err *e);  /* RUN/best or RUN/final */

/* RUN/final as a copy of RUN/best. */
int export_best_as_final(const struct run *r, struct err *e);
const char *export_weights_name(const struct run *r);
bool export_as_stored(const struct run *r);  /* final and best are in the base's dtypes */

/* ---- checkpoint.c ---- */

int checkpoint_save(struct run *r, struct err *e);     /* RUN/checkpoint-<step>; removes the oldest beyond the limit */
int checkpoint_resume(struct run *r, struct err *e);   /* from the newest; 1 resumed, 0 none, -1 when it is damaged */
size_t checkpoint_count(const struct run *r);

/* state.json: position and all else that is not a tensor. */
int state_write(const struct run *r, const char *dir, struct err *e);
int state_read(struct run *r, const char *dir, struct err *e);

/* ---- signals.c ---- */

/* SIGUSR1 asks for a checkpoint, which is made between steps; before this call it would end the process. */
void signals_catch_save(void);

/* SIGTERM and SIGINT are noted from here on; the second one ends the process as usual. */
void signals_catch_stop(void);
bool signals_take_save(void);               /* whether a checkpoint was asked for since the last call */
bool signals_stop(const struct run *r);     /* whether to stop: a signal, or the deadline */
const char *signals_reason(void);           /* "SIGTERM", "SIGINT" or "the deadline" */

/* ---- step.c ---- */

/* The examples of one step, held while they are packed, and what came of them. */
struct step;

struct step *step_new(void);
void step_free(struct step *s);

/* Reads the examples of the step that comes next. */
int step_read(struct run *r, struct step *s, struct err *e);

/* Computes it and makes the update, or finds that it must not be made: ERR_DATA. Fills r->last, and counts the step. */
int step_run(struct run *r, struct step *s, double rate, struct err *e);

/* Its train event; a new reference. */
json_t *step_event(const struct run *r, const struct step *s, double rate, double seconds);
uint64_t step_tokens(const struct step *s);

/* Rows of the largest micro-batch of the run, where its examples share nothing. */
int step_rows(const struct run *r);

/* Forward and backward over the fullest micro-batch of the step read; returns its rows. For dryrun.c. */
int step_try(struct run *r, struct step *s, uint64_t *tokens);

/* ---- loop.c ---- */

/* Trains to the end, or until a signal or the deadline: ERR_TEMPFAIL then, with a checkpoint written. */
int train_loop(struct run *r, struct err *e);

/* ---- validate.c ---- */

int validate_prepare(struct run *r, struct err *e);    /* labels, options, metric; says what is odd about them */

/* Evaluates, logs the event, saves RUN/best when it is the best so far, which *is_best tells, and counts for early
 * stopping. ERR_TEMPFAIL when it was stopped. *v is the caller's to release. */
struct validation {
	struct eval_result result;
	struct metrics metrics;
	bool has_metrics, is_best;
};
int validate(struct run *r, struct validation *v, struct err *e);
void validation_release(struct validation *v);

/* ---- dryrun.c ---- */

/* Prints sizes, memory, operations and time, after trying one micro-batch. */
int dryrun(struct run *r, struct err *e);

#endif
