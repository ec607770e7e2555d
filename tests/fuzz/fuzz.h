/* What fuzz targets share. A target is a file fuzz_NAME.c with one LLVMFuzzerTestOneInput; with clang it is linked with
 * libFuzzer, elsewhere with replay.c, whose main runs the files it is given.
 *
 * Several files in one input stand one behind the other, with lines "=====" between them. Files are made in a directory
 * of the process's own, in memory where there is /dev/shm. */
#ifndef HONE_TESTS_FUZZ_H
#define HONE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "text/template.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_part {
	const char *p;
	size_t n;
};

/* Takes the first part off *rest; empty when there is none left. */
struct fuzz_part fuzz_part(struct fuzz_part *rest);

/* Takes the first byte off; 0 when there is none. */
unsigned fuzz_byte(struct fuzz_part *rest);

/* A copy of its own, of exactly its size, so that AddressSanitizer sees the first byte read behind it. */
char *fuzz_copy(struct fuzz_part part);

/* The process's own directory, and a file in it: `name` with this content. Paths live until fuzz_clear, which removes
 * all that is in the directory. */
const char *fuzz_dir(void);
const char *fuzz_file(const char *name, struct fuzz_part content);
const char *fuzz_path(const char *name);
void fuzz_clear(void);

/* Runs f(arg) and comes back also when it ends the process; the exit status, or -1. What it had allocated is lost. */
int fuzz_catch_exit(void (*f)(void *), void *arg);

/* Ends the process as a crash does, when what should hold does not. */
#define FUZZ_CHECK(holds) ((holds) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #holds))
_Noreturn void fuzz_failed(const char *file, int line, const char *what);

/* A byte-level tokenizer of 263 tokens with <s>, </s>, <|im_start|> and <|im_end|>, and the chatml template: the model
 * directory that holds it, which is made once and stays, and what is opened of it. */
const char *fuzz_model(void);
const struct tokenizer *fuzz_tokenizer(void);
const struct template *fuzz_template(void);

#endif
