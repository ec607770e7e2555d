/* Where the time goes: one stopwatch for the whole process, always running on one kind of work. The main thread alone
 * switches it; what the other threads help with counts for it. */
#ifndef HONE_BASE_WORKTIME_H
#define HONE_BASE_WORKTIME_H

enum work {
	WORK_OTHER,        /* everything else: reading options, writing files, waiting */
	WORK_PRODUCTS,     /* matrix products of linear layers */
	WORK_ATTENTION,
	WORK_ELEMENTS,     /* norms, activations, rotary embedding, residuals, dropout */
	WORK_LOSS,         /* softmax and cross entropy; the head's products are products */
	WORK_OPTIMIZER,
	WORK_DATA,         /* reading, decompressing and packing examples */
	WORK_KINDS
};

/* Goes over to another kind; returns the one that it was on, to go back to. */
enum work work_switch(enum work to);

/* Seconds spent on one kind so far. */
double work_seconds(enum work kind);

/* "products", "attention", ... as reports and metrics.jsonl call them. */
const char *work_name(enum work kind);

#endif
