#define _GNU_SOURCE
#include "fuzz.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "text/unicode.h"

/* ---- parts ---- */

struct fuzz_part
fuzz_part(struct fuzz_part *rest)
{
	static const char line[] = "\n=====\n";
	const char *end = rest->n ? memmem(rest->p, rest->n, line, sizeof line - 1) : NULL;
	struct fuzz_part part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
	size_t taken = part.n + (end ? sizeof line - 1 : 0);
	*rest = (struct fuzz_part){rest->p + taken, rest->n - taken};
	return part;
}

unsigned
fuzz_byte(struct fuzz_part *rest)
{
	if (!rest->n)
		return 0;
	unsigned byte = (uint8_t)*rest->p;
	*rest = (struct fuzz_part){rest->p + 1, rest->n - 1};
	return byte;
}

char *
fuzz_copy(struct fuzz_part part)
{
	char *copy = malloc(part.n ? part.n : 1);
	FUZZ_CHECK(copy);
	if (part.n)
		memcpy(copy, part.p, part.n);
	return copy;
}

/* ---- files ---- */

enum { PATHS_MAX = 32 };

static char *dir, *model;
static char *paths[PATHS_MAX];
static size_t n_paths;

static void
remove_dirs(void)
{
	struct err e;
	fuzz_clear();
	if (dir)
		path_remove(dir, &e);
	if (model)
		path_remove(model, &e);
}

static char *
make_dir(void)
{
	char *path = xasprintf("%s/hone-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	FUZZ_CHECK(mkdtemp(path));
	if (!dir && !model)
		atexit(remove_dirs);
	return path;
}

const char *
fuzz_dir(void)
{
	if (!dir)
		dir = make_dir();
	return dir;
}

const char *
fuzz_path(const char *name)
{
	FUZZ_CHECK(n_paths < PATHS_MAX);
	return paths[n_paths++] = path_join(fuzz_dir(), name);
}

const char *
fuzz_file(const char *name, struct fuzz_part content)
{
	const char *path = fuzz_path(name);
	FILE *f = fopen(path, "wb");
	FUZZ_CHECK(f && fwrite(content.p, 1, content.n, f) == content.n && fclose(f) == 0);
	return path;
}

void
fuzz_clear(void)
{
	for (size_t i = 0; i < n_paths; i++) {
		struct err e;
		if (unlink(paths[i]) < 0)
			path_remove(paths[i], &e);
		free(paths[i]);
	}
	n_paths = 0;
}

/* ---- the end of the process ---- */

static jmp_buf back;
static bool catching;

_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);

/* The programs are linked with --wrap=exit. */
_Noreturn void
__wrap_exit(int status)
{
	if (!catching)
		__real_exit(status);
	catching = false;
	longjmp(back, 1 + status);
}

/* Of LeakSanitizer, where there is one. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

int
fuzz_catch_exit(void (*f)(void *), void *arg)
{
	if (__lsan_disable)
		__lsan_disable();
	int status = setjmp(back);
	if (status == 0) {
		catching = true;
		f(arg);
	}
	catching = false;
	if (__lsan_enable)
		__lsan_enable();
	return status - 1;
}

_Noreturn void
fuzz_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* ---- a small model ---- */

static const char *const specials[] = {"<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"};

enum { N_SPECIALS = sizeof specials / sizeof *specials };

/* GPT-2's sign for a byte. */
static json_t *
byte_sign(unsigned byte)
{
	char text[5] = "";
	unsigned n = 0;
	for (unsigned b = 0; b < byte; b++)
		n += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
	bool plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
	text[uni_encode(plain ? byte : 256 + n, text)] = '\0';
	return json_string(text);
}

static json_t *
bpe_model(void)
{
	json_t *vocab = json_object();
	for (int i = 0; i < N_SPECIALS; i++)
		json_object_set_new(vocab, specials[i], json_integer(i));
	for (unsigned b = 0; b < 256; b++) {
		json_t *sign = byte_sign(b);
		json_object_set_new(vocab, json_string_value(sign), json_integer(N_SPECIALS + (int)b));
		json_decref(sign);
	}
	json_object_set_new(vocab, "he", json_integer(N_SPECIALS + 256));
	json_object_set_new(vocab, "hel", json_integer(N_SPECIALS + 257));
	return json_pack("{s:s, s:o, s:[s, s]}", "type", "BPE", "vocab", vocab, "merges", "h e", "he l");
}

static json_t *
tokenizer_json(void)
{
	json_t *added = json_array();
	for (int i = 0; i < N_SPECIALS; i++)
		json_array_append_new(added,
			json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", i, "content", specials[i], "special", 1,
				"single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0));
	return json_pack("{s:o, s:n, s:{s:s, s:b, s:b, s:b}, s:{s:s}, s:n, s:o}", "added_tokens", added, "normalizer",
		"pre_tokenizer", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1,
		"decoder", "type", "ByteLevel", "post_processor", "model", bpe_model());
}

static void
write_json(const char *name, json_t *o)
{
	struct err e;
	char *path = path_join(model, name);
	FUZZ_CHECK(o && json_write_file(path, true, o, 0, "\n", &e) == 0);
	json_decref(o);
	free(path);
}

const char *
fuzz_model(void)
{
	if (!model) {
		model = make_dir();
		write_json("tokenizer.json", tokenizer_json());
		write_json("tokenizer_config.json", json_pack("{s:s, s:s}", "bos_token", "<s>", "eos_token", "</s>"));
	}
	return model;
}

const struct tokenizer *
fuzz_tokenizer(void)
{
	static struct tokenizer *t;
	struct err e;
	if (!t)
		FUZZ_CHECK((t = tokenizer_open(fuzz_model(), &e)));
	return t;
}

const struct template *
fuzz_template(void)
{
	static struct template t;
	struct err e;
	if (!t.jinja)
		FUZZ_CHECK(template_open(&t, fuzz_model(), "chatml", &e) == 0);
	return &t;
}
