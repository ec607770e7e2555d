/* results.csv of a run: one row a step in the columns of the legacy fine-tunes service,
 *
 *   step, elapsed_tokens, elapsed_examples, training_loss, training_sequence_accuracy,
 *   training_token_accuracy, validation_loss, validation_sequence_accuracy, validation_token_accuracy
 *
 * and behind them, for classification, accuracy and weighted_f1_score (multiclass) or accuracy, precision,
 * recall, auroc, auprc and an f column for each beta (binary), all with "classification/" before the name.
 * A cell is empty where a figure has no value. */
#ifndef HONE_EVAL_RESULTS_CSV_H
#define HONE_EVAL_RESULTS_CSV_H

#include <stdint.h>

#include "base/err.h"
#include "eval/metrics.h"

enum results_kind {
	RESULTS_PLAIN,  /* no classification columns */
	RESULTS_MULTICLASS,
	RESULTS_BINARY,
};

struct results_row {
	int64_t step, elapsed_tokens, elapsed_examples;
	double training_loss, training_sequence_accuracy, training_token_accuracy;        /* NAN: empty */
	double validation_loss, validation_sequence_accuracy, validation_token_accuracy;  /* NAN: empty */
	const struct metrics *metrics;  /* NULL: empty; with the betas of results_open when binary */
};

struct results_csv {
	int fd;
	char *path;
	enum results_kind kind;
	struct metrics_betas betas;
	int64_t last_step;
};

/* Opens DIR/results.csv for the rows after `step`, the step that a run resumes from, 0 for a new run: rows beyond
 * it, and one that a crash cut short, are removed first (in a copy that is renamed into place), so that a
 * resumed run ends with the same file. Other columns than `kind` and `betas` give are ERR_DATA. */
int results_open(struct results_csv *r, const char *dir, enum results_kind kind, const struct metrics_betas *betas,
	int64_t step, struct err *e);

/* Appends a row, in one write; its step must be beyond that of the row before. */
int results_append(struct results_csv *r, const struct results_row *row, struct err *e);

/* Makes the rows so far outlive a crash of the machine: before the checkpoint that stands behind them. */
int results_sync(struct results_csv *r, struct err *e);
void results_close(struct results_csv *r);

#endif
