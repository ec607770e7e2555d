/* Numbers as text. Nothing here or elsewhere calls setlocale, so the decimal sign is always a point. */
#ifndef HONE_BASE_NUM_H
#define HONE_BASE_NUM_H

enum { NUM_TEXT = 32 };

/* The shortest of %.15g, %.16g and %.17g that reads back as v: "0.485", "1e-05", "inf". */
void num_text(char text[NUM_TEXT], double v);

#endif
