#include "device.h"

#include <stdarg.h>
#include <stdio.h>

void kc_text_add(kc_text *text, const char *format, ...) {
  if (text->length + 1 >= text->capacity) return;
  va_list arguments;
  va_start(arguments, format);
  size_t left = text->capacity - text->length;
  int written = vsnprintf(text->data + text->length, left, format, arguments);
  va_end(arguments);
  if (written < 0) return;
  text->length += (size_t)written < left ? (size_t)written : left - 1;
}

void kc_text_one_line(char *text) {
  for (; *text; text++) {
    if ((unsigned char)*text < 32 || *text == 127) *text = ' ';
  }
}
