#include "text/ingest_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/unpack.h"
#include "fmt/dataset.h"
#include "fmt/tokens.h"

char *
ingest_temporary_name(const char *pattern)
{
	const char *tmp = getenv("TMPDIR");
	return path_join(tmp && *tmp ? tmp : "/tmp", pattern);
}

/* What standard input was when the dataset was made that is kept; it is not read again. */
static int
form_kept(struct ingest_source *s, const char *keep, struct err *e)
{
	struct dataset *d = dataset_open(keep, e);
	if (!d)
		return -1;
	const json_t *records = json_object_get(json_object_get(dataset_json(d), "ingest"), "records");
	s->form = json_object_size(records) ? INGEST_RECORDS : INGEST_STREAM;
	dataset_close(d);
	return 0;
}

/* A stream and records are told apart by how they begin, and hashed before they are read, which takes a file. */
static int
copy_source(struct ingest_source *s, int from, struct err *e)
{
	uint8_t block[1 << 16];
	long n = 0;
	s->file = s->copy = ingest_temporary_name("hone-data-XXXXXX");
	int fd = mkstemp(s->copy), rc = fd < 0 ? err_sys(e, ERR_CANTCREAT, "cannot create '%s'", s->copy) : 0;
	while (rc == 0 && (n = unpack_read_plain(from, s->path, block, sizeof block, e)) > 0)
		if (fd_write_all(fd, block, (size_t)n) < 0)
			rc = err_sys(e, ERR_IO, "cannot write '%s'", s->copy);
	if (n < 0)
		rc = -1;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
copy_pipe(struct ingest_source *s, struct err *e)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_NOINPUT, "cannot open '%s'", s->path);
	int rc = copy_source(s, fd, e);
	close(fd);
	return rc;
}

/* Puts the source into a place where it can be read twice. */
static int
settle_source(struct ingest_source *s, struct err *e)
{
	struct stat st;
	if (strcmp(s->path, "-") == 0)
		return copy_source(s, STDIN_FILENO, e);
	if (stat(s->path, &st) < 0)
		return err_set(e, ERR_NOINPUT, "'%s' does not exist; a dataset directory, a file of records or a token stream is wanted",
			s->path);
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : copy_pipe(s, e);
}

static int
find_form(struct ingest_source *s, struct err *e)
{
	if (path_is_dir(s->file)) {
		s->form = INGEST_DATASET;
		return 0;
	}
	int stream = tokens_sniff(s->file, e);
	s->form = stream > 0 ? INGEST_STREAM : INGEST_RECORDS;
	return stream < 0 ? -1 : 0;
}

int
ingest_source_init(struct ingest_source *s, const char *path, const char *keep, struct err *e)
{
	*s = (struct ingest_source){.path = path, .file = path};
	if (strcmp(path, "-") == 0 && keep && path_exists(keep))
		return form_kept(s, keep, e);
	return settle_source(s, e) < 0 ? -1 : find_form(s, e);
}

void
ingest_source_release(struct ingest_source *s)
{
	if (s->copy)
		unlink(s->copy);
	free(s->copy);
	*s = (struct ingest_source){0};
}

json_t *
ingest_source_fingerprint(const struct ingest_source *s, struct err *e)
{
	char hex[HASH_HEX];
	if (strcmp(s->file, "-") == 0)
		return json_null();
	if (s->form == INGEST_DATASET) {
		struct dataset *d = dataset_open(s->path, e);
		json_t *print = d ? json_string(dataset_fingerprint(d)) : NULL;
		dataset_close(d);
		return print;
	}
	struct map m;
	if (map_open(&m, s->file, e) < 0)
		return NULL;
	hash_bytes(m.data, m.size, hex);
	map_close(&m);
	return json_string(hex);
}
