/* From one JSON line of training data to an example: its token ids, and which of them are targets.
 *
 * The rule of the boundary: what precedes a target is tokenised exactly as it will be at inference. A
 * prompt and its completion are tokenised apart (the prompt with what the tokenizer adds in front, as BOS)
 * and joined; an end-of-text token follows the completion and is a target. In a conversation the context
 * of an assistant's turn is what the template prints with add_generation_prompt for the messages before
 * it; the turn is tokenised with its context when that leaves the context's ids as they are, and apart
 * when tokens would cross the boundary. The template prints BOS itself: none is added. */
#ifndef HONE_TEXT_RECORD_H
#define HONE_TEXT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fmt/example.h"
#include "text/template.h"
#include "text/tokenizer.h"

enum record_format {
	RECORD_AUTO, /* by the keys of the first record */
	RECORD_CHAT, /* {"messages", "tools"?, "chat_template_kwargs"?}; "weight" in assistant messages */
	RECORD_SHAREGPT,       /* {"conversations": [{"from", "value"}], "system"?, "tools"?} */
	RECORD_COMPLETION,     /* {"prompt", "completion"}, or {"input", "target"} */
	RECORD_ALPACA,         /* {"instruction", "input"?, "output", "system"?, "history"?: [[q, a], ...]} */
	RECORD_TEXT,           /* {"text"} */
	RECORD_CLASSIFICATION, /* {"text", "label"}: prompt text + "\n\n###\n\n", completion label */
};

enum record_train_on {
	TRAIN_ON_COMPLETION,    /* of a conversation, the last assistant message only */
	TRAIN_ON_ASSISTANT,     /* every assistant message */
	TRAIN_ON_ALL,           /* every token */
};

enum record_overlong {
	OVERLONG_ERROR,
	OVERLONG_DROP,
	OVERLONG_TRUNCATE,      /* a prompt loses its start (BOS stays), everything else its end */
	OVERLONG_SPLIT,         /* text only: into consecutive pieces; records_tokenize does it */
};

struct record_options {
	enum record_format format;
	enum record_train_on train_on;
	enum record_overlong overlong;
	double prompt_loss_weight;            /* of the tokens of prompts; 0: not targets */
	uint32_t max_length;                  /* tokens; 0: no limit */
	bool no_eos;
	bool no_special;                      /* the bare ids: no BOS, no EOS */
	bool allow_empty;                     /* records without a token or a target are examples, too */
	const struct tokenizer *tokenizer;
	const struct template *template;
};

/* Names as on the command line ("chat", "assistant", "drop"); -1 when there is none such. */
int record_format_named(const char *name);
int record_train_on_named(const char *name);
int record_overlong_named(const char *name);
const char *record_format_name(enum record_format f);

/* Whether the model's chat template makes the text of it. */
bool record_format_is_chat(enum record_format f);

struct record_maker;  /* one thread's encoder and memory */

/* Borrows *opt. NULL and ERR_CONFIG when the tokenizer has no end-of-text token and the options want one. */
struct record_maker *record_maker_new(const struct record_options *opt, struct err *e);
void record_maker_free(struct record_maker *m);

/* Which format a line has by its keys; *keys, if not NULL, names them for messages. */
int record_detect(const char *line, size_t n, enum record_format *format, const char **keys, struct err *e);

enum record_verdict {
	RECORD_DROPPED,
	RECORD_WHOLE,
	RECORD_CUT,
	RECORD_UNTRAINABLE, /* right as such, but without a target (after truncation, it may be) */
};

/* What is odd about a record that is none the less taken. */
enum record_remark {
	REMARK_BOS_GIVEN,   /* the text begins with BOS (or what else the tokenizer adds there): none was added */
	REMARK_BOS_DOUBLED, /* a conversation in which two BOS tokens follow each other */
	REMARK_NO_END,      /* a turn that is a target does not end with a special token */
	N_REMARKS,
};

/* The example of a line, in memory that the next call reuses. Returns a record_verdict: dropped and cut
 * are by the policy for overlong ones; a text that is to be split comes whole. -1: ERR_DATA "line N: ..."
 * when the record is wrong, another code when no record could be right. */
int record_parse(struct record_maker *m, const char *line, size_t n, uint64_t lineno, struct example *out,
	struct err *e);

/* The remarks on the last record, a bit each: 1 << REMARK_BOS_GIVEN. */
unsigned record_remarks(const struct record_maker *m);

/* For generation: the ids of what precedes the answer, in memory that the next call reuses. Any of the
 * forms, where what belongs to the answer may be missing; a conversation is rendered with
 * add_generation_prompt, without the last message if that is the assistant's. */
int record_prompt(struct record_maker *m, const char *line, size_t n, uint64_t lineno, const int32_t **ids,
	size_t *n_ids, struct err *e);

#endif
