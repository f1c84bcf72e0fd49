/* kluere_recipes.h - the files of recipes/, inside the library. */
#ifndef KLUERE_RECIPES_H
#define KLUERE_RECIPES_H

#include <stddef.h>

size_t kr_recipe_count(void);
/* NULL where there is none. Both live for ever. */
const char *kr_recipe_name(size_t index);
/* JSON, NUL-terminated. */
const char *kr_recipe_text(size_t index);

#endif
