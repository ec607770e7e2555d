#include "text/spm_unigram.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

static const float unk_penalty = 10;

int
spm_unigram_init(struct spm_unigram *u, const struct spm_model *m, struct err *e)
{
	float min = FLT_MAX, max = FLT_MIN;  /* the least positive: scores are logarithms, so this is 0 */
	*u = (struct spm_unigram){.unk = m->unk, .byte_fallback = m->byte_fallback};
	memcpy(u->byte_id, m->byte_id, sizeof u->byte_id);
	u->score = xcalloc(m->n, sizeof *u->score);
	for (size_t i = 0; i < m->n; i++)
		if (m->piece[i].type == SPM_NORMAL) {
			min = m->piece[i].score < min ? m->piece[i].score : min;
			max = m->piece[i].score > max ? m->piece[i].score : max;
		}
	u->unk_score = min - unk_penalty;
	for (size_t i = 0; i < m->n; i++) {
		const struct spm_piece *p = &m->piece[i];
		bool is_user = p->type == SPM_USER_DEFINED;  /* scored so that it always wins */
		u->score[i] = is_user ? (double)((float)p->text.n * max) - 0.1 : p->score;
		if ((p->type == SPM_NORMAL || is_user) &&
			spm_trie_add(&u->trie, p->text.p, p->text.n, (int32_t)i) < 0) {
			spm_unigram_release(u);
			return err_set(e, ERR_CONFIG, "the pieces are longer than %d bytes together",
				SPM_TRIE_NODES);
		}
	}
	return 0;
}

void
spm_unigram_release(struct spm_unigram *u)
{
	spm_trie_release(&u->trie);
	free(u->score);
	*u = (struct spm_unigram){0};
}

static void
offer(struct spm_best *to, double score, int32_t id, size_t start)
{
	if (to->start == UINT32_MAX || score > to->score)
		*to = (struct spm_best){(float)score, id, (uint32_t)start};
}

/* All pieces that begin at `start`, as ways to where they end. */
static void
extend(const struct spm_unigram *u, struct spm_best *best, const char *text, size_t n, size_t start, size_t len)
{
	double here = start ? best[start].score : 0;
	bool single = false;
	uint32_t at = 0;
	for (size_t end = start; end < n && (at = spm_trie_step(&u->trie, at, text[end]));) {
		int32_t id = u->trie.value[at];
		end++;
		if (id < 0)
			continue;
		offer(&best[end], u->score[id] + here, id, start);
		single |= end - start == len;
	}
	if (!single)
		offer(&best[start + len], (double)(u->unk_score + (float)here), u->unk, start);
}

static void
reverse(int32_t *v, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		int32_t t = v[i];
		v[i] = v[--n];
		v[n] = t;
	}
}

void
spm_unigram_encode(
	const struct spm_unigram *u, struct spm_best *best, const char *text, size_t n, struct ids *out)
{
	size_t from = out->n, len;
	bool after_unk = false;
	uint32_t c;
	for (size_t i = 0; i <= n; i++)
		best[i].start = UINT32_MAX;
	for (size_t i = 0; i < n; i += len) {
		len = uni_decode(text + i, &c);
		extend(u, best, text, n, i, len);
	}
	for (size_t end = n; end; end = best[end].start) {
		bool unk = best[end].id == u->unk;
		for (size_t i = end; unk && u->byte_fallback && i > best[end].start; i--)
			ids_push(out, u->byte_id[(uint8_t)text[i - 1]]);
		if (!unk || !(u->byte_fallback || after_unk))
			ids_push(out, best[end].id);
		after_unk = unk;
	}
	reverse(out->v + from, out->n - from);
}
