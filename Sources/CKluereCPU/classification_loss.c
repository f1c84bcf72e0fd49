/* classification_loss.c - every classification loss but plain cross entropy, with its gradient. In double: a batch has a few
 * dozen rows of a few dozen classes, and near p = 1 and p = 0 products of vanishing and growing factors need the digits. */
#include <math.h>
#include <string.h>

#include "pieces.h"

/* The softmax of factor * (x[j] - [j is marked] margin), so that neither p near 1 nor 1 - p near 0 loses its digits. */
typedef struct softmax_row {
  const float *x;
  size_t marked, top;
  double factor, margin, largest, rest, log_sum; /* rest: sum of e^(. - largest) without the top class */
} softmax_row;

static double scaled(const softmax_row *r, size_t j) {
  return r->factor * ((double)r->x[j] - (j == r->marked ? r->margin : 0.0));
}

static softmax_row softmax_of(const float *x, size_t classes, double factor, size_t marked, double margin) {
  softmax_row r = {.x = x, .marked = marked, .factor = factor, .margin = margin};
  r.largest = scaled(&r, 0);
  for (size_t j = 1; j < classes; j++) {
    double v = scaled(&r, j);
    if (v > r.largest) {
      r.largest = v;
      r.top = j;
    }
  }
  for (size_t j = 0; j < classes; j++)
    if (j != r.top) r.rest += exp(scaled(&r, j) - r.largest);
  r.log_sum = log1p(r.rest);
  return r;
}

static double log_p(const softmax_row *r, size_t j) { return scaled(r, j) - r->largest - r->log_sum; }
static double p_of(const softmax_row *r, size_t j) {
  return (j == r->top ? 1.0 : exp(scaled(r, j) - r->largest)) / (1.0 + r->rest);
}
static double miss_of(const softmax_row *r, size_t j) { return j == r->top ? r->rest / (1.0 + r->rest) : 1.0 - p_of(r, j); }

typedef struct loss {
  double *loss;
  float *dlogits;
  const float *logits;
  const int32_t *labels;
  const kk_loss_rule *rule;
  size_t rows, classes, piece;
  double scale;
} loss;

/* One class's part of the hard loss, c (1 - p)^gamma (-log p); slope: minus its derivative by log p. */
typedef struct part {
  double value, slope;
} part;

static part hard_part(const kk_loss_rule *rule, const softmax_row *r, size_t j) {
  double c = (j == r->marked ? rule->on_target : rule->off_target) * (rule->weights ? (double)rule->weights[j] : 1.0);
  if (c == 0) return (part){0, 0}; /* not 0 times infinity */
  double lp = log_p(r, j);
  if (rule->gamma == 0) return (part){-c * lp, c};
  double miss = miss_of(r, j), p = p_of(r, j), power = pow(miss, rule->gamma), slope = power;
  /* -log p / (1 - p) is 1 where p is 1. */
  if (!rule->detached && p > 0) slope += rule->gamma * p * power * (miss > 0 ? -lp / miss : 1.0);
  return (part){-c * power * lp, c * slope};
}

static double hard_value(const kk_loss_rule *rule, const softmax_row *r, size_t classes, double *slopes) {
  double value = 0;
  *slopes = 0;
  for (size_t j = 0; j < classes; j++) {
    part one = hard_part(rule, r, j);
    value += one.value;
    *slopes += one.slope;
  }
  return value;
}

/* KL(teacher || softmax). */
static double soft_value(const float *teacher, const softmax_row *r, size_t classes, double *total) {
  double value = 0;
  *total = 0;
  for (size_t j = 0; j < classes; j++) {
    double t = teacher[j];
    if (t == 0) continue;
    value += t * (log(t) - log_p(r, j));
    *total += t;
  }
  return value;
}

/* KL(p || q); both: that and KL(q || p). A class that neither gives a chance counts nothing. */
static double divergence(const softmax_row *p, const softmax_row *q, size_t classes, double *both) {
  double value = 0;
  *both = 0;
  for (size_t j = 0; j < classes; j++) {
    double a = p_of(p, j), b = p_of(q, j);
    if (a == 0 && b == 0) continue;
    double difference = log_p(p, j) - log_p(q, j);
    value += a * difference;
    *both += (a - b) * difference;
  }
  return value;
}

static void loss_row(const loss *l, size_t row) {
  const kk_loss_rule *rule = l->rule;
  const size_t classes = l->classes, label = (size_t)l->labels[row], none = SIZE_MAX;
  const float *x = l->logits + row * classes;
  const float *teacher = rule->soft != 0 && rule->teacher ? rule->teacher + row * classes : NULL;
  const int agrees = rule->agreement != 0 && (row ^ 1) < l->rows;
  softmax_row hard = {0}, soft = {0}, own = {0}, other = {0};
  double value = 0, slopes = 0, total = 0, kl = 0, both = 0;
  if (rule->hard != 0) {
    hard = softmax_of(x, classes, rule->sharpness, label, rule->margins ? (double)rule->margins[label] : 0.0);
    value += rule->hard * hard_value(rule, &hard, classes, &slopes);
  }
  if (teacher) {
    soft = softmax_of(x, classes, 1.0 / rule->temperature, none, 0);
    value += rule->soft * soft_value(teacher, &soft, classes, &total);
  }
  if (agrees) {
    own = softmax_of(x, classes, 1, none, 0);
    other = softmax_of(l->logits + (row ^ 1) * classes, classes, 1, none, 0);
    kl = divergence(&own, &other, classes, &both);
    value += rule->agreement * 0.25 * both; /* half of the pair's (KL + KL) / 2 */
  }
  l->loss[row] = value;
  if (!l->dlogits) return;
  float *dx = l->dlogits + row * classes;
  for (size_t j = 0; j < classes; j++) {
    double d = 0;
    if (rule->hard != 0) {
      double slope = hard_part(rule, &hard, j).slope;
      d += rule->hard * rule->sharpness * (p_of(&hard, j) * (slopes - slope) - miss_of(&hard, j) * slope);
    }
    if (teacher) d += rule->soft / rule->temperature * (p_of(&soft, j) * total - (double)teacher[j]);
    if (agrees) {
      double a = p_of(&own, j), b = p_of(&other, j);
      if (a != 0 || b != 0)
        d += rule->agreement * 0.5 * (a * (log_p(&own, j) - log_p(&other, j) - kl) + (a - b));
    }
    dx[j] = (float)(l->scale * d);
  }
}

static void loss_piece(void *context, size_t item) {
  const loss *l = context;
  kk_rows rows = kk_piece_range(item, l->piece, l->rows, l->classes);
  for (size_t row = rows.begin; row < rows.end; row++) {
    if (l->labels[row] >= 0 && (size_t)l->labels[row] < l->classes) {
      loss_row(l, row);
    } else { /* no label: no part in the loss */
      l->loss[row] = 0;
      if (l->dlogits) memset(l->dlogits + row * l->classes, 0, l->classes * sizeof(float));
    }
  }
}

void kk_classification_loss(kk_engine *engine, double *loss_out, float *dlogits, const float *logits,
                            const int32_t *labels, size_t rows, size_t classes, float scale, const kk_loss_rule *rule) {
  if (classes == 0) return;
  /* Some 30 times as dear as an element of cheap arithmetic. */
  loss l = {loss_out, dlogits, logits, labels, rule, rows, classes, kk_piece_rows(classes * 32), (double)scale};
  kk_run(engine, kk_pieces(rows, l.piece), rows * classes, 60, loss_piece, &l);
}
