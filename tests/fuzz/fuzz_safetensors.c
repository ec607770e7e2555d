/* A safetensors file: opened, and every tensor read. */
#include <string.h>

#include "fmt/safetensors.h"
#include "fuzz.h"

static unsigned
read_tensor(const struct st_tensor *t)
{
	float some[64];
	unsigned sum = 0;
	struct buf shape = {0};
	int64_t n = st_elements(t);
	st_shape_text(t, &shape);
	buf_release(&shape);
	FUZZ_CHECK(
		n >= 0 && t->rank >= 0 && t->rank <= ST_MAX_RANK && (uint64_t)n * st_dtype_size(t->dtype) == t->bytes);
	for (size_t i = 0; i < t->bytes; i++)
		sum += t->data[i];
	for (int64_t at = 0; st_is_float(t->dtype) && at < n; at += 64) {
		st_to_f32(t, (size_t)at, n - at < 64 ? (size_t)(n - at) : 64, some);
		sum += some[0] > 0;
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	volatile unsigned sink;
	struct st_file *f = st_open(fuzz_file("model.safetensors", (struct fuzz_part){(const char *)data, size}), &e);
	if (f) {
		for (size_t i = 0; i < st_count(f); i++) {
			const struct st_tensor *t = st_at(f, i);
			FUZZ_CHECK(st_find(f, t->name) == t);
			sink = read_tensor(t);
			(void)sink;
		}
		st_find(f, "a");
		st_metadata(f, "format");
		st_close(f);
	}
	fuzz_clear();
	return 0;
}
