/* list.c - the recipes, in the order in which they are shown: a text and a line in `recipes` for each. */
#include "kluere_recipes.h"

/* C23, an extension before it. The object then depends on these files, and is made anew when one changes. */
#pragma clang diagnostic ignored "-Wc23-extensions"
static const char klue_paper_base[] = {
#embed "recipes/klue-paper-base.json"
, 0};
static const char klue_paper_large[] = {
#embed "recipes/klue-paper-large.json"
, 0};
static const char baseline[] = {
#embed "recipes/baseline.json"
, 0};
static const char report_1[] = {
#embed "recipes/report-1.json"
, 0};
static const char report_2[] = {
#embed "recipes/report-2.json"
, 0};
static const char report_3[] = {
#embed "recipes/report-3.json"
, 0};
static const char report_4[] = {
#embed "recipes/report-4.json"
, 0};
static const char report_5[] = {
#embed "recipes/report-5.json"
, 0};
static const char report_6[] = {
#embed "recipes/report-6.json"
, 0};
static const char typed_punct[] = {
#embed "recipes/typed-punct.json"
, 0};
static const char mtb_f[] = {
#embed "recipes/mtb-f.json"
, 0};
static const char r_bert[] = {
#embed "recipes/r-bert.json"
, 0};

static const struct {
  const char *name;
  const char *text;
} recipes[] = {
  {"klue-paper-base", klue_paper_base},
  {"klue-paper-large", klue_paper_large},
  {"baseline", baseline},
  {"report-1", report_1},
  {"report-2", report_2},
  {"report-3", report_3},
  {"report-4", report_4},
  {"report-5", report_5},
  {"report-6", report_6},
  {"typed-punct", typed_punct},
  {"mtb-f", mtb_f},
  {"r-bert", r_bert},
};

size_t kr_recipe_count(void) { return sizeof recipes / sizeof recipes[0]; }

const char *kr_recipe_name(size_t index) { return index < kr_recipe_count() ? recipes[index].name : NULL; }

const char *kr_recipe_text(size_t index) { return index < kr_recipe_count() ? recipes[index].text : NULL; }
