#include "eval/results_csv.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

enum { ROW_MAX = 1 << 16 };

/* ---- text ---- */

static void
put_header(struct buf *b, enum results_kind kind, const struct metrics_betas *betas)
{
	buf_puts(b, "step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,"
		"training_token_accuracy,validation_loss,validation_sequence_accuracy,validation_token_accuracy");
	if (kind == RESULTS_MULTICLASS)
		buf_puts(b, ",classification/accuracy,classification/weighted_f1_score");
	if (kind == RESULTS_BINARY) {
		buf_puts(b, ",classification/accuracy,classification/precision,classification/recall,"
			"classification/auroc,classification/auprc");
		for (size_t i = 0; i < betas->n; i++) {
			char key[METRICS_KEY_MAX];
			metrics_beta_key(key, betas->v[i]);
			buf_printf(b, ",%s", key);
		}
	}
	buf_putc(b, '\n');
}

static void
put_cell(struct buf *b, double v)
{
	char text[NUM_TEXT] = "";
	if (!isnan(v))
		num_text(text, v);
	buf_printf(b, ",%s", text);
}

/* The classification cells; m may be NULL, and all of them are empty then. */
static void
put_metrics(struct buf *b, const struct results_csv *r, const struct metrics *m)
{
	if (r->kind == RESULTS_PLAIN)
		return;
	put_cell(b, m ? m->accuracy : NAN);
	if (r->kind == RESULTS_MULTICLASS) {
		put_cell(b, m ? m->weighted_f1 : NAN);
		return;
	}
	put_cell(b, m ? m->precision : NAN);
	put_cell(b, m ? m->recall : NAN);
	put_cell(b, m ? m->auroc : NAN);
	put_cell(b, m ? m->auprc : NAN);
	for (size_t i = 0; i < r->betas.n; i++)
		put_cell(b, m ? m->f[i] : NAN);
}

static void
put_row(struct buf *b, const struct results_csv *r, const struct results_row *row)
{
	buf_printf(b, "%lld,%lld,%lld", (long long)row->step, (long long)row->elapsed_tokens,
		(long long)row->elapsed_examples);
	put_cell(b, row->training_loss);
	put_cell(b, row->training_sequence_accuracy);
	put_cell(b, row->training_token_accuracy);
	put_cell(b, row->validation_loss);
	put_cell(b, row->validation_sequence_accuracy);
	put_cell(b, row->validation_token_accuracy);
	put_metrics(b, r, row->metrics);
	buf_putc(b, '\n');
}

/* ---- resuming ---- */

/* The number that a row begins with; -1 when it begins with none that fits. */
static int64_t
step_of(const char *line, size_t n)
{
	int64_t step = 0;
	size_t i = 0;
	for (; i < n && line[i] >= '0' && line[i] <= '9'; i++)
		if (__builtin_mul_overflow(step, 10, &step) || __builtin_add_overflow(step, line[i] - '0', &step))
			return -1;
	return i && i < n && line[i] == ',' ? step : -1;
}

/* The next line, as in_line, but a last one without its line feed is left out: a crash cut it short. */
static int
whole_line(struct in *in, const char **line, size_t *n, struct err *e)
{
	uint64_t before = in->taken;
	int rc = in_line(in, ROW_MAX, line, n, e);
	return rc > 0 && in->taken - before == *n ? 0 : rc;
}

/* Copies the rows up to `step` from an existing file behind the header that `kept` holds. */
static int
keep_rows(struct results_csv *r, struct in *in, int64_t step, struct buf *kept, struct err *e)
{
	const char *line;
	size_t n;
	int rc = whole_line(in, &line, &n, e);
	if (rc <= 0)
		return rc;
	if (n + 1 != kept->len || memcmp(line, kept->data, n) != 0)
		return err_set(e, ERR_DATA,
			"'%s': line 1: not the columns that this run writes; move the file away to resume", r->path);
	for (uint64_t number = 2; (rc = whole_line(in, &line, &n, e)) > 0; number++) {
		int64_t at = step_of(line, n);
		if (at > step)
			break;
		if (at <= r->last_step)
			return err_set(e, ERR_DATA, "'%s': line %llu: does not begin with a step beyond %lld",
				r->path, (unsigned long long)number, (long long)r->last_step);
		r->last_step = at;
		buf_append(kept, line, n);
		buf_putc(kept, '\n');
	}
	return rc < 0 ? -1 : 0;
}

/* Replaces the file by its header and the rows up to `step`. */
static int
rewrite(struct results_csv *r, int64_t step, struct err *e)
{
	struct buf kept = {0};
	put_header(&kept, r->kind, &r->betas);
	int rc = 0;
	if (step > 0 && path_exists(r->path)) {
		struct in in;
		rc = in_open(&in, r->path, e);
		if (rc == 0) {
			rc = keep_rows(r, &in, step, &kept, e);
			in_close(&in);
		}
	}
	if (rc == 0)
		rc = file_write(r->path, true, kept.data, kept.len, e);
	buf_release(&kept);
	return rc;
}

/* ---- the file ---- */

int
results_open(struct results_csv *r, const char *dir, enum results_kind kind, const struct metrics_betas *betas,
	int64_t step, struct err *e)
{
	*r = (struct results_csv){.fd = -1, .path = path_join(dir, "results.csv"), .kind = kind};
	if (betas)
		r->betas = *betas;
	if (rewrite(r, step, e) == 0) {
		r->fd = open(r->path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (r->fd < 0)
			err_sys(e, ERR_CANTCREAT, "cannot open '%s'", r->path);
	}
	if (r->fd >= 0)
		return 0;
	results_close(r);
	return -1;
}

int
results_append(struct results_csv *r, const struct results_row *row, struct err *e)
{
	if (row->step <= r->last_step)
		return err_set(e, ERR_BUG, "'%s': a row for step %lld behind that for step %lld", r->path,
			(long long)row->step, (long long)r->last_step);
	struct buf b = {0};
	put_row(&b, r, row);
	int rc = fd_write_all(r->fd, b.data, b.len) < 0 ? err_sys(e, ERR_IO, "cannot write '%s'", r->path) : 0;
	buf_release(&b);
	if (rc == 0)
		r->last_step = row->step;
	return rc;
}

int
results_sync(struct results_csv *r, struct err *e)
{
	return fd_sync(r->fd) < 0 ? err_sys(e, ERR_IO, "cannot write '%s'", r->path) : 0;
}

void
results_close(struct results_csv *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	*r = (struct results_csv){.fd = -1};
}
