#include "base/num.h"

#include <stdio.h>
#include <stdlib.h>

void
num_text(char text[NUM_TEXT], double v)
{
	/* Every decimal of up to 15 digits survives %.15g, which drops trailing zeros; few doubles need 17. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, NUM_TEXT, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			return;
	}
}
