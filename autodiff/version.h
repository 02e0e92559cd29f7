/* Weir's version, and what every public header begins and ends with. */
#ifndef WEIR_VERSION_H
#define WEIR_VERSION_H

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 2
#define WEIR_VERSION_PATCH 0

#define WEIR_VERSION_TEXT(major, minor, patch)     #major "." #minor "." #patch
#define WEIR_VERSION_EXPANDED(major, minor, patch) WEIR_VERSION_TEXT(major, minor, patch)
/* "0.2.0": of these headers. */
#define WEIR_VERSION WEIR_VERSION_EXPANDED(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH)

/* Of the binary interface, all that public headers declare: in the shared library's name (libweir.so.1), its symbols'
 * version (WEIR_1), and plug-ins: one compiled for another number is refused. The end says when it moves. */
#define WEIR_ABI 1

/* What is declared between these two has C's linkage in C++ too, and is what the shared library shows: everything else
 * in it is hidden. */
#ifdef __cplusplus
#define WEIR_BEGIN_DECLARATIONS                                                                                        \
    _Pragma("GCC visibility push(default)") extern "C"                                                                 \
    {
#define WEIR_END_DECLARATIONS                                                                                          \
    }                                                                                                                  \
    _Pragma("GCC visibility pop")
#else
#define WEIR_BEGIN_DECLARATIONS _Pragma("GCC visibility push(default)")
#define WEIR_END_DECLARATIONS   _Pragma("GCC visibility pop")
#endif

WEIR_BEGIN_DECLARATIONS

/* "0.2.0": of the library that runs, which may be newer than the headers that a program was compiled with. May be
 * called from several threads at once. */
const char *weir_version(void);

WEIR_END_DECLARATIONS

/* WEIR_ABI goes up by one, once at most between two releases, when something can't be used by what was compiled before:
 * a function or object is gone or of another type; a struct is laid out anew, or is longer, since callers have room for
 * it; an enumerator has another value. The loader then refuses a program that was linked with the older library, and
 * nf_plugin_load() an older plug-in. It stays when functions, objects, enumerators and macros are only added: a program
 * that was linked with an older library of the same number runs with a newer one, not always the other way round. The
 * test `abi` holds the headers against those of the last release, and says which of these it is.
 *
 * 1 is the first number that is kept in this way. Before it, each change in development had a number, up to 6; plug-ins
 * of that time define a variable of another name, and are refused too. */

#endif
