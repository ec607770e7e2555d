/* Predictions files, written. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "eval/predictions.h"
#include "eval/row_seal.h"

/* A name as a JSON string, malloced. */
static char *
quote(const char *name)
{
	json_t *s = json_string(name);
	char *text = json_dumps(s, JSON_ENCODE_ANY);
	assert(text);  /* names are UTF-8 */
	json_decref(s);
	return text;
}

static void
put_row(struct buf *b, const struct predictions *p, const struct prediction *r, char *const *quoted, int64_t step)
{
	char number[NUM_TEXT];
	buf_putc(b, '{');
	if (step > 0)
		buf_printf(b, "\"step\": %lld, ", (long long)step);
	if (r->line)
		buf_printf(b, "\"line\": %lld, ", (long long)r->line);
	buf_printf(b, "\"label\": %s, ", r->label < 0 ? "null" : quoted[r->label]);
	buf_printf(b, "\"prediction\": %s", r->prediction < 0 ? "null" : quoted[r->prediction]);
	for (size_t i = 0; i < r->n_scores; i++) {
		const struct score *s = &p->score[r->first + i];
		num_text(number, s->p);
		buf_printf(b, "%s%s: %s", i ? ", " : ", \"scores\": {", quoted[s->class], number);
	}
	if (r->n_scores)
		buf_putc(b, '}');
	if (!isnan(r->outside)) {
		num_text(number, r->outside);
		buf_printf(b, ", \"outside\": %s", number);
	}
	buf_puts(b, "}\n");
}

static char **
quote_names(const struct predictions *p)
{
	char **quoted = xcalloc((size_t)p->n_classes, sizeof *quoted);
	for (int k = 0; k < p->n_classes; k++)
		quoted[k] = quote(p->name[k]);
	return quoted;
}

static void
free_names(const struct predictions *p, char **quoted)
{
	for (int k = 0; k < p->n_classes; k++)
		free(quoted[k]);
	free(quoted);
}

void
predictions_write(const struct predictions *p, const json_t *provenance, struct out *out)
{
	char **quoted = quote_names(p);
	struct buf b = {0};
	for (size_t i = 0; i < p->n; i++)
		put_row(&b, p, &p->row[i], quoted, 0);
	if (b.len)
		rows_write_sealed(b.data, b.len, provenance, out);
	buf_release(&b);
	free_names(p, quoted);
}

/* ---- a run's file ---- */

/* The step that a row begins with; -1 when it begins with none. */
static int64_t
step_of(const char *line)
{
	static const char before[] = "{\"step\": ";
	if (strncmp(line, before, sizeof before - 1) != 0)
		return -1;
	errno = 0;
	long long step = strtoll(line + sizeof before - 1, NULL, 10);
	return errno || step <= 0 ? -1 : step;
}

/* How many bytes of the file are whole rows of steps before `step`; rows are in the order of their steps. */
static int
earlier_rows(const char *path, int64_t step, uint64_t *bytes, struct err *e)
{
	struct in in;
	const char *line;
	size_t n;
	int rc;
	*bytes = 0;
	if (in_open(&in, path, e) < 0)
		return -1;
	while ((rc = in_line(&in, PREDICTIONS_LINE_MAX, &line, &n, e)) > 0) {
		int64_t at = n ? step_of(line) : -1;
		if (at < 0 || at >= step || in.taken - *bytes == n)
			break;
		*bytes = in.taken;
	}
	in_close(&in);
	return rc < 0 ? -1 : 0;
}

static int
write_behind(int fd, const struct predictions *p, int64_t step, uint64_t bytes)
{
	if (ftruncate(fd, (off_t)bytes) < 0)
		return -1;
	char **quoted = quote_names(p);
	struct buf b = {0};
	for (size_t i = 0; i < p->n; i++)
		put_row(&b, p, &p->row[i], quoted, step);
	int rc = fd_write_all(fd, b.data, b.len);
	buf_release(&b);
	free_names(p, quoted);
	return rc < 0 ? -1 : fd_sync(fd);
}

int
predictions_append(const struct predictions *p, const char *path, int64_t step, struct err *e)
{
	uint64_t bytes = 0;
	assert(step > 0);
	if (path_exists(path) && earlier_rows(path, step, &bytes, e) < 0)
		return -1;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	int rc = write_behind(fd, p, step, bytes);
	if (rc < 0)
		err_sys(e, ERR_IO, "cannot write '%s'", path);
	close(fd);
	return rc;
}
