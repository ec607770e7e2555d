/* Memory for large tables that are read at random: in huge pages where the system gives them, which spares most of the
 * page faults and the misses of the address cache. */
#ifndef HONE_BASE_TABLE_H
#define HONE_BASE_TABLE_H

#include <stddef.h>

/* n elements of `size` bytes, zeroed, aligned to a page. Ends the process when there is no memory. */
void *table_alloc(size_t n, size_t size);
void table_free(void *p, size_t n, size_t size);  /* with the sizes of table_alloc; NULL is fine */

#endif
