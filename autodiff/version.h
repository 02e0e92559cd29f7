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

/* Of the binary interface: it changes when a struct of the public headers is laid out anew, or a function takes other
 * arguments. A plug-in that was compiled for another one is refused. */
#define WEIR_ABI 6

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

#endif
