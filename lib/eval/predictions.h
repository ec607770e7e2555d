/* What a classifier said about examples, as plain data, and as a predictions file: JSON lines
 *
 *   {"line": 3, "label": "pos", "prediction": "neg", "scores": {"neg": 0.75, "pos": 0.25}}
 *
 * `label` is the truth, null when it is not known; `prediction` is null when the model named no class;
 * `line` (of the source), `scores` (probabilities; a class left out has 0) and `outside` (the probability that the model
 * gives to what is no label) may be missing or null. In RUN/predictions.jsonl each row has the `step` of its evaluation
 * as well. */
#ifndef HONE_EVAL_PREDICTIONS_H
#define HONE_EVAL_PREDICTIONS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

enum {
	PREDICTIONS_CLASSES_MAX = 1 << 16,
	PREDICTIONS_LINE_MAX = 1 << 23,  /* bytes of one line of a file */
};

struct score {
	int class;
	double p;  /* within [0, 1] */
};

struct prediction {
	int64_t line;           /* of the source; 0 when unknown */
	int label, prediction;  /* classes, or -1 */
	size_t first, n_scores; /* into score[]; none when the row has no scores */
	double outside;         /* NAN when unknown */
};

/* Memory follows what was added, never rows × classes: a file cannot ask for more than its own size. */
struct predictions {
	struct prediction *row;
	size_t n, cap;
	char **name;  /* of the classes */
	int n_classes;
	struct score *score;  /* the rows' scores one after another, by class within a row */
	size_t n_scores, score_cap;
	int64_t step;  /* of the rows of a run's file; -1 when they have none */
};

/* An empty set over K classes; copies the names, which are distinct valid UTF-8. */
void predictions_init(struct predictions *p, const char *const *names, int K);
void predictions_release(struct predictions *p);

/* Adds a row; label and prediction are classes or -1; scores: [K] or NULL. Rounding beyond [0, 1] is cut
 * off; a row with a score that is not a number is kept without scores. */
void predictions_add(struct predictions *p, int64_t line, int label, int prediction, const double *scores);

/* Sets the probability outside the labels of the last row. */
void predictions_outside(struct predictions *p, double outside);

/* The probability of a class in a row: 0 when its scores do not name it, NAN when it has none. */
double predictions_score(const struct predictions *p, size_t row, int class);

int predictions_class(const struct predictions *p, const char *name);  /* -1 when there is none */

/* Writes the file; probabilities read back as the same doubles. `provenance` (eval/row_seal.h) may be NULL. The caller commits
 * `out`. */
void predictions_write(const struct predictions *p, const json_t *provenance, struct out *out);

/* Puts the rows of an evaluation at `step` (> 0) behind those in the file. Rows of that step and of later ones, and a line
 * that a crash cut short, are removed first, so that a run that goes on from a checkpoint ends with the same file. */
int predictions_append(const struct predictions *p, const char *path, int64_t step, struct err *e);

/* Reads a file, or stdin for "-". The classes are all names seen as a label, a prediction or the key of a
 * score, in byte order. Of rows with a `step` those of the last step in the file count. Blank lines are passed over;
 * anything else amiss is ERR_DATA with file and line.
 * Fills *p, also when it fails: the caller releases it either way. */
int predictions_read(struct predictions *p, const char *path, struct err *e);
int predictions_read_in(struct predictions *p, struct in *in, struct err *e);  /* an open file, whole */

#endif
