// What kluere needs from the operating system and from C. Functions that return int give 0 or an errno value; none
// prints, aborts or touches signals. All of them may be called by any number of threads at once.
#ifndef KLUERE_SUPPORT_H
#define KLUERE_SUPPORT_H
#include <stddef.h>
#include <stdint.h>

#include "kluere_arrow.h"  // arrow.c: tables of columns for the Arrow C data interface

// ---- error_slot.c: the message of this thread's last failed call -----------------------------------------------------

/// Bytes of the slot, the NUL included.
enum { KS_ERROR_CAPACITY = 1024 };
/// Keeps the message: control characters become spaces (it is one line), cut between code points if it does not fit.
void ks_error_set(const char *utf8, size_t length);
/// Copies the message NUL-terminated, cut between code points. Returns the bytes needed, the NUL included.
size_t ks_error_copy(char *buffer, size_t capacity);

// ---- handle_box.c: what a C handle points to -------------------------------------------------------------------------
// Boxes lie in slabs that are never given back, so that a pointer can be checked by its address before anything is read:
// NULL, garbage, misaligned and destroyed handles are refused, not followed. A destroyed box is used again only after
// KS_BOX_QUARANTINE others were destroyed.

typedef struct ks_flag {
  int64_t value; // only through ks_flag_*
} ks_flag;

enum { KS_BOX_QUARANTINE = 4096 };
/// kind is not 0. flag may be NULL; ks_box_raise sets it, so it must live until the box is destroyed. NULL: no memory.
void *ks_box_create(uint32_t kind, void *object, ks_flag *flag);
/// The object of a living box of this kind, else NULL. retain is called on it before any other thread can destroy the
/// box; it must not call a ks_box function.
void *ks_box_object(const void *box, uint32_t kind, void (*retain)(void *object));
/// Ends the box and returns its object; NULL if it is no living box of this kind (destroyed by another thread, say).
void *ks_box_destroy(void *box, uint32_t kind);
/// Sets the box's flag to 1, without a lock: safe in a signal handler. 1 if it is a living box of this kind.
int ks_box_raise(const void *box, uint32_t kind);

// ---- flag.c: one number between threads and signal handlers ----------------------------------------------------------

void ks_flag_set(ks_flag *flag, int64_t value);
int64_t ks_flag_get(const ks_flag *flag);
/// Sets it to 0 and returns what it was.
int64_t ks_flag_take(ks_flag *flag);

// ---- memory.c: large memory, whose shortage is an answer and not an abort --------------------------------------------

/// 64-byte aligned, not touched (the first write brings the pages in); NULL where there is none. 0 bytes is valid.
void *ks_allocate(size_t bytes);
void ks_free(void *memory);

/// The same, all zero; freed with ks_free_zeroed. Large blocks (4 MiB and more) are untouched pages of the system: a part
/// that nobody writes or reads takes no memory.
void *ks_allocate_zeroed(size_t bytes);
void ks_free_zeroed(void *memory);

// ---- file_map.c ------------------------------------------------------------------------------------------------------

/// The bytes of a regular file (else EINVAL; EISDIR for a folder): mapped, or copied if copy_into_memory. data is never
/// NULL on success, also for an empty file. A mapped file must not be cut short meanwhile (SIGBUS).
int ks_map_file(const char *path, int copy_into_memory, const uint8_t **data, size_t *size, void **token);
/// NULL does nothing.
void ks_unmap_file(void *token);
/// The whole pages inside part of a mapped (not copied) file may leave memory; they are read again when touched.
void ks_release_pages(const void *data, size_t size);

// ---- atomic_files.c --------------------------------------------------------------------------------------------------

typedef struct ks_slice {
  const void *data;
  size_t size;
} ks_slice;

/// A new file (EEXIST if it is there) of the slices one after another, brought to the disk. On error it is removed.
/// More than RLIMIT_FSIZE allows is EFBIG before anything is written: SIGXFSZ never reaches the host.
int ks_write_file(const char *path, const ks_slice *slices, size_t count);
/// The same beside path ("<path>.tmp-<pid>-<n>"), then renamed over it: readers see the old or the new file. Keeps the
/// mode of an existing file and follows a link to it. What is there must be a regular file (else EINVAL or EISDIR).
int ks_replace_file(const char *path, const ks_slice *slices, size_t count);
/// Parents are not made; EEXIST if it is there.
int ks_make_directory(const char *path);
/// Brings the folder's list of names to the disk. 0 on file systems that cannot.
int ks_sync_directory(const char *path);
/// Puts the folder temporary in the place of final_path, which may be absent, in one step where the file system can
/// exchange names. Afterwards the old content, if any, is at temporary. Where it cannot exchange, final_path becomes
/// "<final_path>.old-<pid>" for a moment: a crash between the two renames leaves it there.
int ks_swap_directories(const char *temporary, const char *final_path);
/// A file, a link (never followed), or a folder without folders in it (else ENOTEMPTY, nothing removed). 0 if absent.
int ks_remove_tree(const char *path);

enum { KS_PATH_ABSENT = 0, KS_PATH_FILE = 1, KS_PATH_DIRECTORY = 2, KS_PATH_OTHER = 3 };
/// KS_PATH_*, links followed, or -errno.
int ks_path_kind(const char *path);
/// Calls visit for every name but "." and "..", with its KS_PATH_* (links are OTHER), until it returns something other
/// than 0.
int ks_list_directory(const char *path, int (*visit)(void *userdata, const char *name, int kind), void *userdata);

// ---- clock.c ---------------------------------------------------------------------------------------------------------

/// Seconds from some fixed point; never goes back.
double ks_now_seconds(void);
int ks_process_id(void);

#endif
