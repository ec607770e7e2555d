/* damage -r KIND PATH: reads a file, or a directory, with no more memory than 32 MiB and 64 times its size, and says what
 * the reader says: "read", or "STATUS MESSAGE". Running out of memory ends it, with 70.
 *
 * damage [-a] KIND PATH [FILE]: what a reader says of a damaged file. PATH is a file, or a directory of which FILE is
 * damaged; all is copied first. The file is cut at every byte, and one bit of every byte is flipped; with -a every bit, and
 * every byte is also made 0x00 and 0xff. Each time all that the reader gives is hashed and compared with what the whole
 * file gives. Prints one line:
 *
 *   KIND FILE: N bytes; cuts: N refused, N same, N other; changes: N refused, N same, N other; statuses 65 78
 *
 * "same": the byte does not count; "other": it reads as another file. No damage may end the process. An error's message
 * must name the file or the directory. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/train/train.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "eval/generations.h"
#include "eval/predictions.h"
#include "fmt/manifest.h"
#include "fmt/tokens.h"
#include "fmt/weights.h"
#include "fuzz.h"
#include "model/config.h"
#include "text/source.h"

/* ---- readers: all that is read goes into the hash ---- */

static XXH3_state_t *hash;

static void
add(const void *p, size_t n)
{
	XXH3_128bits_update(hash, &n, sizeof n);
	if (n)
		XXH3_128bits_update(hash, p, n);
}

static void
add_text(const char *s)
{
	add(s ? s : "", s ? strlen(s) : 0);
}

static void
add_json(const json_t *o)
{
	char *text = o ? json_dumps(o, JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
	add_text(text);
	free(text);
}

static void
add_example(const struct example *x)
{
	add(x->ids, x->n * sizeof *x->ids);
	add(x->spans, x->n_spans * sizeof *x->spans);
	add(&x->completion, sizeof x->completion);
	add(&x->line, sizeof x->line);
	add(x->label, x->label ? x->label_len : 0);
}

static void
add_tensor(const struct st_tensor *t)
{
	add_text(t->name);
	add(&t->dtype, sizeof t->dtype);
	add(t->shape, (size_t)t->rank * sizeof *t->shape);
	add(t->data, t->bytes);
}

static int
read_tokenizer(const char *path, struct err *e)
{
	static const char text[] = "Hello, hello world <s>! he  12\n\xe4\xbd\xa0 \xc3\xa9";
	struct tokenizer *t = tokenizer_open(path, e);
	struct ids ids = {0};
	struct buf out = {0};
	if (!t)
		return -1;
	struct encoder *enc = encoder_new(t);
	struct err why = {0};
	encoder_encode(enc, text, sizeof text - 1, true, &ids,
		&why); /* what a text cannot be is no fault of the file's form */
	add_text(why.msg);
	add(ids.v, ids.n * sizeof *ids.v);
	for (int32_t id = 0; (size_t)id < tokenizer_vocab_size(t) && id < 1000; id++) {
		add_text(tokenizer_token(t, id));
		tokenizer_decode(t, &id, 1, false, &out);
	}
	add(out.data, out.len);
	buf_release(&out);
	ids_release(&ids);
	encoder_free(enc);
	tokenizer_free(t);
	return 0;
}

static int
read_template(const char *path, struct err *e)
{
	struct template t;
	struct buf out = {0};
	json_t *messages = json_pack(
		"[{s:s, s:s}, {s:s, s:s}]", "role", "user", "content", "a", "role", "assistant", "content", "b");
	int rc = template_open(&t, fuzz_model(), path, e);
	if (rc == 0) {
		rc = template_render(&t, &(struct conversation){.messages = messages}, &out, e);
		add(out.data, out.len);
		template_close(&t);
	}
	buf_release(&out);
	json_decref(messages);
	return rc;
}

static int
read_safetensors(const char *path, struct err *e)
{
	struct st_file *f = st_open(path, e);
	for (size_t i = 0; f && i < st_count(f); i++)
		add_tensor(st_at(f, i));
	if (f)
		add_json(st_metadata_all(f));
	if (f)
		st_close(f);
	return f ? 0 : -1;
}

static int
read_weights(const char *path, struct err *e)
{
	struct weights *w = weights_open(path, e);
	for (size_t i = 0; w && i < weights_count(w); i++)
		add_tensor(weights_at(w, i));
	if (w)
		weights_close(w);
	return w ? 0 : -1;
}

static int
read_config(const char *path, struct err *e)
{
	struct config c = {0};
	if (config_read(&c, path, e) < 0)
		return -1;
	add_json(c.root);
	config_release(&c);
	return 0;
}

static int
read_adapter(const char *path, struct err *e)
{
	struct adapter a;
	if (adapter_open(&a, path, e) < 0)
		return -1;
	add_json(a.config.root);
	for (size_t i = 0; i < a.n_modules; i++) {
		add_tensor(a.module[i].A);
		add_tensor(a.module[i].B);
		add(&a.module[i].scale, sizeof a.module[i].scale);
	}
	adapter_close(&a);
	return 0;
}

static int
read_tokens(const char *path, struct err *e)
{
	struct tokens_reader *r = tokens_open(path, e);
	struct example x;
	int rc = r ? 1 : -1;
	while (rc > 0 && (rc = tokens_read(r, &x, e)) > 0)
		add_example(&x);
	if (rc == 0)
		add_json(tokens_header(r));
	if (r)
		tokens_close(r);
	return rc;
}

static int
read_dataset(const char *path, struct err *e)
{
	struct dataset *d = dataset_open(path, e);
	struct example x;
	int rc = d ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < dataset_count(d); i++)
		if ((rc = dataset_read(d, i, &x, e)) == 0)
			add_example(&x);
	if (rc == 0)
		add_json(dataset_json(d));
	dataset_close(d);
	return rc;
}

static int
verify_dataset(const char *path, struct err *e)
{
	return dataset_verify(path, NULL, e);
}

static int
read_predictions(const char *path, struct err *e)
{
	struct predictions p = {0};
	int rc = predictions_read(&p, path, e);
	for (size_t i = 0; rc == 0 && i < p.n; i++) {
		add(&p.row[i].line, sizeof p.row[i].line);
		add_text(p.row[i].label < 0 ? NULL : p.name[p.row[i].label]);
		add_text(p.row[i].prediction < 0 ? NULL : p.name[p.row[i].prediction]);
		for (int k = 0; k < p.n_classes; k++)
			add(&(double){predictions_score(&p, i, k)}, sizeof(double));
	}
	predictions_release(&p);
	return rc;
}

static int
read_generations(const char *path, struct err *e)
{
	struct generations g = {0};
	struct in in;
	int rc = in_open_unpacked(&in, path, e);
	if (rc < 0)
		return -1;
	rc = generations_read(&g, &in, e);
	for (size_t i = 0; rc == 0 && i < g.n; i++) {
		add(g.row[i].generated, g.row[i].n_generated);
		add(g.row[i].figure, sizeof g.row[i].figure);
	}
	generations_release(&g);
	in_close(&in);
	return rc;
}

static int
read_records(const char *path, struct err *e)
{
	struct source s;
	const char *text;
	size_t n;
	uint64_t line;
	int rc = source_open(&s, path, e);
	if (rc < 0)
		return -1;
	while ((rc = source_next(&s, &text, &n, &line, e)) > 0) {
		json_t *o = json_read(path, text, n, e);
		if (!o) {
			rc = -1;
			break;
		}
		add_json(o);
		json_decref(o);
	}
	source_close(&s);
	return rc;
}

/* A checkpoint as hone-train resumes from it, but for the tensors, which the manifest covers. */
static int
read_checkpoint(const char *path, struct err *e)
{
	struct run r = {.total_steps = 1000000};
	outliers_init(&r.outliers, 16);
	int rc = manifest_check(path, NULL, e) < 0 ? -1 : 0;
	if (rc == 0 && (rc = state_read(&r, path, e)) == 0) {
		add(&r.step, sizeof r.step);
		add(&r.best_value, sizeof r.best_value);
		add(&r.last, sizeof r.last);
	}
	outliers_release(&r.outliers);
	return rc;
}

static const struct kind {
	const char *name;
	int (*read)(const char *path, struct err *e);
} kinds[] = {{"tokenizer", read_tokenizer}, {"template", read_template}, {"safetensors", read_safetensors},
	{"weights", read_weights}, {"config", read_config}, {"adapter", read_adapter}, {"tokens", read_tokens},
	{"dataset", read_dataset}, {"verify", verify_dataset}, {"predictions", read_predictions},
	{"generations", read_generations}, {"records", read_records}, {"checkpoint", read_checkpoint}};

/* ---- damage ---- */

struct damage {
	const struct kind *kind;
	char *read, *file; /* what the reader is given; the file that is damaged */
	struct buf whole;
	char sound[HASH_HEX];
	size_t cuts[3], changes[3]; /* refused, same, other */
	bool status[256];
};

static const char *running = "start";

static void
at_exit(void)
{
	if (running) {
		fprintf(stderr, "damage: the process ended in '%s'\n", running);
		_exit(70);
	}
}

static _Noreturn void
give_up(const char *why, const char *what)
{
	running = NULL;
	fprintf(stderr, "damage: %s: '%s'\n", why, what);
	exit(1);
}

/* Writes the file, reads it, and counts what comes of it. */
static void
try(struct damage *d, const char *bytes, size_t n, size_t counts[3])
{
	struct err e = {0};
	char hex[HASH_HEX];
	FILE *f = fopen(d->file, "wb");
	FUZZ_CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
	XXH3_128bits_reset(hash);
	if (d->kind->read(d->read, &e) < 0) {
		if (!strstr(e.msg, fuzz_dir()))
			give_up("the message does not name the file", e.msg);
		if (e.code < 0 || e.code > 255 || !e.code)
			give_up("no status", e.msg);
		d->status[e.code] = true;
		counts[0]++;
		return;
	}
	hash_hex(XXH3_128bits_digest(hash), hex);
	counts[strcmp(hex, d->sound) == 0 ? 1 : 2]++;
}

static void
cut_and_change(struct damage *d, bool all)
{
	char *bytes = d->whole.data, *copy = fuzz_copy((struct fuzz_part){bytes, d->whole.len});
	for (size_t n = 0; n < d->whole.len; n++)
		try(d, bytes, n, d->cuts);
	for (size_t i = 0; i < d->whole.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			copy[i] = (char)(bytes[i] ^ 1 << bit);
			if (all || bit == (int)(i % 8))
				try(d, copy, d->whole.len, d->changes);
		}
		for (int full = 0; all && full < 2; full++) {
			copy[i] = full ? '\xff' : '\0';
			if (copy[i] != bytes[i])
				try(d, copy, d->whole.len, d->changes);
		}
		copy[i] = bytes[i];
	}
	free(copy);
}

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED
#endif

/* Memory that may be taken from now on. That of sanitizers would not fit any limit. */
static void
limit_memory(size_t bytes)
{
#ifndef SANITIZED
	unsigned long pages;
	FILE *f = fopen("/proc/self/statm", "r");
	FUZZ_CHECK(f && fscanf(f, "%lu", &pages) == 1 && fclose(f) == 0);
	rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
	FUZZ_CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
#else
	(void)bytes;
#endif
}

static size_t
size_of(const char *path)
{
	struct stat st;
	size_t size = 0;
	DIR *dir = opendir(path);
	if (!dir)
		return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
	for (struct dirent *ent; (ent = readdir(dir));)
		if (fstatat(dirfd(dir), ent->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			size += (size_t)st.st_size;
	closedir(dir);
	return size;
}

static void
read_within(const struct kind *kind, const char *path)
{
	struct err e = {0};
	fuzz_tokenizer();
	limit_memory((32 << 20) + 64 * size_of(path));
	int rc = kind->read(path, &e);
	running = NULL;
	if (rc < 0)
		printf("%d %s\n", e.code, e.msg);
	else
		printf("read\n");
}

static void
copy_dir(const char *from, const char *to)
{
	struct err e;
	DIR *dir = opendir(from);
	FUZZ_CHECK(dir && mkdir(to, 0700) == 0);
	for (struct dirent *ent; (ent = readdir(dir));) {
		char *a = path_join(from, ent->d_name), *b = path_join(to, ent->d_name);
		if (ent->d_name[0] != '.' && !path_is_dir(a) && file_copy(a, b, true, &e) < 0)
			give_up("cannot copy", e.msg);
		free(a);
		free(b);
	}
	closedir(dir);
}

static void
set_up(struct damage *d, const char *path, const char *file)
{
	struct err e;
	const char *slash = strrchr(path, '/');
	d->read = xstrdup(fuzz_path(slash ? slash + 1 : path));
	if (file)
		copy_dir(path, d->read);
	else if (file_copy(path, d->read, true, &e) < 0)
		give_up("cannot copy", e.msg);
	d->file = file ? path_join(d->read, file) : xstrdup(d->read);
	if (file_read(d->file, SIZE_MAX / 2, &d->whole, &e) < 0)
		give_up("cannot read", e.msg);
	XXH3_128bits_reset(hash);
	if (d->kind->read(d->read, &e) < 0)
		give_up("it is refused whole", e.msg);
	hash_hex(XXH3_128bits_digest(hash), d->sound);
}

int
main(int argc, char **argv)
{
	bool all = argc > 1 && strcmp(argv[1], "-a") == 0, once = argc > 1 && strcmp(argv[1], "-r") == 0;
	struct damage d = {0};
	char **arg = argv + 1 + (all || once);
	atexit(at_exit);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && argc > 2 + (all || once); i++)
		if (strcmp(arg[0], kinds[i].name) == 0)
			d.kind = &kinds[i];
	if (!d.kind)
		give_up("usage: damage [-a|-r] KIND PATH [FILE]", arg[0] ? arg[0] : "");
	running = d.kind->name;
	hash = hash_state_new();
	if (once) {
		read_within(d.kind, arg[1]);
		return 0;
	}
	set_up(&d, arg[1], arg[2]);
	cut_and_change(&d, all);
	running = NULL;
	printf("%s %s: %zu bytes; cuts: %zu refused, %zu same, %zu other; changes: %zu refused, %zu same, %zu other; statuses",
		d.kind->name, strrchr(d.file, '/') + 1, d.whole.len, d.cuts[0], d.cuts[1], d.cuts[2], d.changes[0],
		d.changes[1], d.changes[2]);
	for (int i = 0; i < 256; i++)
		if (d.status[i])
			printf(" %d", i);
	printf("\n");
	buf_release(&d.whole);
	free(d.read);
	free(d.file);
	free(hash);
	return 0;
}
