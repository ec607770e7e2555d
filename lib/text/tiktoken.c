#include "text/tiktoken.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe_build.h"
#include "text/unicode.h"

enum { TOKEN_MAX = 8000 };

static const char gpt2[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char cl100k[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
	"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
	"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char o200k[] =
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
	"|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
	"|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const struct tiktoken_pattern patterns[] = {
	{50256, "r50k_base, by the number of ranks", gpt2, false},
	{50280, "p50k_base, by the number of ranks", gpt2, false},
	{100256, "cl100k_base, by the number of ranks", cl100k, false},
	{128000, "Llama 3, by the number of ranks", cl100k, false},
	{151643, "Qwen, by the number of ranks", qwen, true},
	{199998, "o200k_base, by the number of ranks", o200k, false},
};

const struct tiktoken_pattern *
tiktoken_pattern(size_t ranks)
{
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		if (patterns[i].ranks == ranks)
			return &patterns[i];
	return NULL;
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n characters to at most n bytes; how many, -1 when they are no base64. */
static long
decode_base64(const char *p, size_t n, uint8_t *out)
{
	size_t k = 0, pad = n && p[n - 1] == '=' ? 1 + (n > 1 && p[n - 2] == '=') : 0;
	uint32_t bits = 0;
	if (!n || n % 4)
		return -1;
	for (size_t i = 0; i < n - pad; i++) {
		int v = base64_value(p[i]);
		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4)
			out[k++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	return (long)k;
}

/* A line without its end: *token in the byte alphabet, and *rank. */
static int
read_line(const char *p, size_t n, struct buf *token, int64_t *rank)
{
	uint8_t bytes[TOKEN_MAX];
	const char *space = memchr(p, ' ', n);
	size_t k = space ? (size_t)(space - p) : 0;
	long len = k && k <= TOKEN_MAX ? decode_base64(p, k, bytes) : -1;
	if (len <= 0 || k + 1 == n || n - k > 10)
		return -1;
	*rank = 0;
	for (size_t i = k + 1; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		*rank = *rank * 10 + (p[i] - '0');
	}
	buf_clear(token);
	for (long i = 0; i < len; i++) {
		char u[4];
		buf_append(token, u, uni_encode(uni_from_byte(bytes[i]), u));
	}
	return 0;
}

/* The next line, without its end; false when there is none. */
static bool
next_line(const char **at, const char *end, const char **line, size_t *n)
{
	if (*at == end)
		return false;
	const char *stop = memchr(*at, '\n', (size_t)(end - *at));
	*line = *at;
	*n = (size_t)((stop ? stop : end) - *at);
	*at = stop ? stop + 1 : end;
	*n -= *n && (*line)[*n - 1] == '\r';
	return true;
}

bool
tiktoken_looks_like(const char *text, size_t n)
{
	const char *at = text, *line;
	size_t len;
	int64_t rank;
	struct buf token = {0};
	bool is = n && next_line(&at, text + n, &line, &len) && read_line(line, len, &token, &rank) == 0;
	buf_release(&token);
	return is;
}

static int
load_vocab(struct vocab *v, const char *text, size_t n, struct err *e)
{
	const char *at = text, *line;
	size_t len, lineno = 0;
	int64_t rank;
	struct buf token = {0};
	int rc = 0;
	vocab_init(v, n / 16);
	while (rc == 0 && next_line(&at, text + n, &line, &len)) {
		lineno++;
		if (!len)
			continue;
		if (read_line(line, len, &token, &rank) < 0)
			rc = err_set(e, ERR_CONFIG, "line %zu is not a token in base64 and its rank", lineno);
		else if (vocab_add(v, token.data, token.len, rank, e) < 0)
			rc = err_prefix(e, "line %zu: ", lineno);
	}
	buf_release(&token);
	return rc;
}

static int
check_bytes(const struct vocab *v, struct err *e)
{
	for (int i = 0; i < 256; i++) {
		char u[4];
		if (vocab_id(v, u, uni_encode(uni_from_byte((uint8_t)i), u)) < 0)
			return err_set(e, ERR_CONFIG, "the byte 0x%02x has no rank", i);
	}
	return 0;
}

int
tiktoken_load(struct bpe *b, const char *text, size_t n, struct err *e)
{
	*b = (struct bpe){.unk = -1, .ignore_merges = true};
	memset(b->fallback, 0xff, sizeof b->fallback);
	int rc = load_vocab(&b->vocab, text, n, e);
	if (rc == 0)
		rc = check_bytes(&b->vocab, e);
	if (rc == 0) {
		uint32_t *rank = xcalloc(b->vocab.size, sizeof *rank);
		for (size_t i = 0; i < b->vocab.size; i++)
			rank[i] = b->vocab.token[i].text ? (uint32_t)i : BPE_NO_RANK;
		rc = bpe_build_ranked(b, rank, e);
		free(rank);
	}
	if (rc < 0)
		bpe_release(b);
	return rc;
}
