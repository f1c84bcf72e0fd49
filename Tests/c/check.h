/* Counting checks, and small file helpers for the C tests. */
#ifndef CHECK_H
#define CHECK_H
#include <kluere.h>
#include <stddef.h>

/* The call must fail with `code` (0: any failure) and leave a message of its own: one line, not empty. */
#define REFUSES(code, call) (check_before(), check_refused(__FILE__, __LINE__, #call, (code), (call)))
/* The same, with the description of what is wrong (a row of a table, say). */
#define REFUSES_CASE(name, code, call) (check_before(), check_refused(__FILE__, __LINE__, (name), (code), (call)))
/* Damage that a reader may not notice: the call succeeds, or fails as REFUSES demands. Nothing else may happen. */
#define SURVIVES(name, call) (check_before(), check_survived(__FILE__, __LINE__, (name), (call)))
#define SUCCEEDS(call) check_succeeded(__FILE__, __LINE__, #call, (call))
#define HOLDS(condition) check_holds(__FILE__, __LINE__, #condition, (condition) ? 1 : 0)

void check_before(void);
int check_refused(const char *file, int line, const char *what, kluere_status expected, kluere_status got);
int check_survived(const char *file, int line, const char *what, kluere_status got);
int check_succeeded(const char *file, int line, const char *what, kluere_status got);
int check_holds(const char *file, int line, const char *what, int holds);
/* Prints "N passed, M failed"; the exit status. */
int check_finish(void);

/* folder/name in static storage that lasts for the next 15 calls. */
const char *path_in(const char *folder, const char *name);
/* These end the program if the disk does not do as they say: they are not what is tested. */
void write_bytes(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);
/* malloc'ed; ends in a NUL that size does not count. */
char *read_bytes(const char *path, size_t *size);
int same_file(const char *a, const char *b);
int exists(const char *path);
void make_folder(const char *path);
/* Files of a folder without subfolders. */
void copy_folder(const char *from, const char *to);
void remove_folder(const char *path);
/* Names of a folder's regular files, sorted; malloc'ed. */
char **list_files(const char *folder, size_t *count);
void free_list(char **names, size_t count);

#endif
