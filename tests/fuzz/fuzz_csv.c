/* Separated values. The first byte chooses separator and quotes. */
#include "fuzz.h"
#include "text/csv.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned options = fuzz_byte(&rest);
	char *text = fuzz_copy(rest);
	struct csv c;
	struct csv_row row;
	struct err e;
	size_t bytes = 0;
	unsigned sum = 0;
	csv_init(&c, text, rest.n, options & 1 ? '\t' : options & 2 ? ';' : ',', !(options & 4));
	while (csv_next(&c, &row, &e) > 0) {
		FUZZ_CHECK(row.n > 0);
		for (size_t i = 0; i < row.n; i++) {
			bytes += row.field[i].n;
			for (size_t k = 0; k < row.field[i].n; k++)
				sum += (uint8_t)row.field[i].p[k];
		}
	}
	FUZZ_CHECK(bytes <= rest.n && (bytes || !sum));
	csv_release(&c);
	free(text);
	return 0;
}
