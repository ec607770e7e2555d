/* Shared by record.c and record_chat.c only. */
#ifndef HONE_TEXT_RECORD_INT_H
#define HONE_TEXT_RECORD_INT_H

#include <jansson.h>

#include "text/record.h"

/* The texts of the tokenizer's special tokens. */
struct record_specials {
	const char **text;  /* [n] */
	size_t *len;        /* [n] */
	size_t n, longest;
	bool first[256];    /* whether one starts with this byte */
};

struct record_maker {
	const struct record_options *opt;
	enum record_format format;  /* RECORD_AUTO until the first record */
	struct encoder *encoder;
	size_t front, behind;       /* tokens that the post-processor puts before and behind a text */
	struct record_specials specials;
	int32_t eos;                /* -1: none is to be added */
	json_t *record;             /* the one at hand */
	struct ids ids, joined;
	struct span *spans;
	size_t n_spans, spans_cap;
	size_t covered;             /* tokens that the spans cover */
	uint32_t completion;
	struct buf text, other, label, whole;
	bool has_label;
};

/* Gives the tokens from the end of the last span up to ids.n one weight. */
void record_span(struct record_maker *m, double weight);

/* An assistant's turn in the rendered conversation R, which m->whole holds. */
struct record_turn {
	size_t index;        /* of the message */
	size_t start, end;   /* bytes of R */
	size_t content_end;  /* where the message's content ends in R, if found */
	bool found_content;
	size_t stop; /* behind the token that ends the turn: what follows up to `end` is not a target */
	double weight;
};

const json_t *record_messages(const struct record_maker *m);

/* The template's text of a list of messages, or of the first n of the record's, in place of what *out
 * held. */
int record_render(
	struct record_maker *m, const json_t *messages, bool generate, struct buf *out, struct err *e);
int record_render_first(struct record_maker *m, size_t n, bool generate, struct buf *out, struct err *e);

/* Finds turn t->index, which is to start at byte `from` or later. */
int record_locate(struct record_maker *m, struct record_turn *t, size_t from, struct err *e);

/* Fills ids, spans and completion from {"messages"}. */
int record_chat(struct record_maker *m, struct err *e);

/* The ids of a conversation up to where the assistant is to answer. */
int record_chat_prompt(struct record_maker *m, struct err *e);

#endif
