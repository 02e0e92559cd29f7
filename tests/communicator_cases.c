/* What every communicator must do. */
#include "communicator_cases.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

enum { ROUNDS = 50 };

/* Byte i of what rank `from` has for rank `to`. */
static unsigned char byte_of(int from, int to, size_t i)
{
    return (unsigned char)(1 + 31 * from + 7 * to + (int)(i % 251));
}

typedef struct {
    size_t *send_bytes, *receive_bytes;
    unsigned char *send, *receive;
    size_t sent, received;
} parts;

static void parts_free(parts *p)
{
    ad_free(p->send_bytes);
    ad_free(p->receive_bytes);
    ad_free(p->send);
    ad_free(p->receive);
}

/* As many bytes from each to each as `size_of` says. */
static bool parts_new(parts *p, const ad_communicator *c, size_t (*size_of)(int from, int to))
{
    *p = (parts){.send_bytes = ad_alloc((size_t)c->size, sizeof(size_t)),
                 .receive_bytes = ad_alloc((size_t)c->size, sizeof(size_t))};
    for (int r = 0; p->send_bytes && p->receive_bytes && r < c->size; r++) {
        p->sent += p->send_bytes[r] = size_of(c->rank, r);
        p->received += p->receive_bytes[r] = size_of(r, c->rank);
    }
    p->send = ad_alloc(p->sent, 1);
    p->receive = ad_alloc(p->received, 1);
    if (!p->send_bytes || !p->receive_bytes || !p->send || !p->receive) return false;
    unsigned char *to = p->send;
    for (int r = 0; r < c->size; r++)
        for (size_t i = 0; i < p->send_bytes[r]; i++) *to++ = byte_of(c->rank, r, i);
    return true;
}

static const char *exchange_sizes(const ad_communicator *c, size_t (*size_of)(int from, int to))
{
    parts p;
    ad_error error = {AD_OK, ""};
    const char *wrong = parts_new(&p, c, size_of) ? NULL : "no memory";
    if (!wrong && c->exchange(c, p.send, p.send_bytes, p.receive, p.receive_bytes, &error)) wrong = "exchange fails";
    const unsigned char *at = p.receive;
    for (int r = 0; !wrong && r < c->size; r++)
        for (size_t i = 0; i < p.receive_bytes[r]; i++)
            if (*at++ != byte_of(r, c->rank, i)) wrong = "exchange: a byte is another";
    parts_free(&p);
    return wrong;
}

static size_t same_size(int from, int to)
{
    (void)from;
    (void)to;
    return 24;
}

static size_t uneven_size(int from, int to)
{
    return (size_t)(17 * from + 5 * to);
}

static size_t large_size(int from, int to)
{
    return 300000 + (size_t)(1000 * from + to);
}

/* Odd ranks have nothing for anybody. */
static size_t partly_empty(int from, int to)
{
    return from % 2 ? 0 : (size_t)(to + 3);
}

static size_t to_the_next(int from, int to)
{
    return to == from + 1 ? 4096 : 0;
}

static size_t nothing(int from, int to)
{
    (void)from;
    (void)to;
    return 0;
}

static const char *exchanges(const ad_communicator *c)
{
    size_t (*const sizes[])(int, int) = {same_size, uneven_size, large_size, partly_empty, to_the_next, nothing};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *wrong = exchange_sizes(c, sizes[i]);
        if (wrong) return wrong;
    }
    return NULL;
}

/* Without an error to fill in, and without memory where there is nothing to send. */
static const char *exchanges_nothing(const ad_communicator *c)
{
    size_t *none = ad_alloc((size_t)c->size, sizeof *none);
    const bool good = none && !c->exchange(c, NULL, none, NULL, none, NULL) && !c->gather(c, NULL, none, NULL) &&
                      !c->broadcast(c, NULL, 0, c->size - 1, NULL);
    ad_free(none);
    return good ? NULL : "a call without bytes fails";
}

static const char *gather_sizes(const ad_communicator *c, size_t (*size_of)(int from, int to))
{
    size_t *bytes = ad_alloc((size_t)c->size, sizeof *bytes), all = 0, first = 0;
    for (int r = 0; bytes && r < c->size; r++) {
        if (r == c->rank) first = all;
        all += bytes[r] = size_of(r, 0);
    }
    unsigned char *each = ad_alloc(all, 1);
    const char *wrong = bytes && each ? NULL : "no memory";
    for (size_t i = 0; !wrong && i < bytes[c->rank]; i++) each[first + i] = byte_of(c->rank, 0, i);
    if (!wrong && c->gather(c, each, bytes, NULL)) wrong = "gather fails";
    const unsigned char *at = each;
    for (int r = 0; !wrong && r < c->size; r++)
        for (size_t i = 0; i < bytes[r]; i++)
            if (*at++ != byte_of(r, 0, i)) wrong = "gather: a byte is another";
    ad_free(each);
    ad_free(bytes);
    return wrong;
}

static const char *gathers(const ad_communicator *c)
{
    size_t (*const sizes[])(int, int) = {same_size, uneven_size, large_size, partly_empty, nothing};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *wrong = gather_sizes(c, sizes[i]);
        if (wrong) return wrong;
    }
    return NULL;
}

static const char *broadcasts(const ad_communicator *c)
{
    enum { BYTES = 100000 };
    unsigned char *data = ad_alloc(BYTES, 1);
    const char *wrong = data ? NULL : "no memory";
    for (int root = 0; root < c->size && !wrong; root++) {
        const size_t bytes = root % 2 ? 7 : BYTES;
        for (size_t i = 0; i < bytes; i++) data[i] = c->rank == root ? byte_of(root, 0, i) : 0;
        if (c->broadcast(c, data, bytes, root, NULL)) wrong = "broadcast fails";
        for (size_t i = 0; i < bytes && !wrong; i++)
            if (data[i] != byte_of(root, 0, i)) wrong = "broadcast: a byte is another";
    }
    ad_free(data);
    return wrong;
}

static const char *barriers(const ad_communicator *c)
{
    const double seconds[] = {INFINITY, 30, 1e300};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        if (c->barrier(c, seconds[i], NULL)) return "barrier fails";
    return NULL;
}

/* One after the other, without a pause, and each kind after each: none sees what is another's. */
static const char *mixes(const ad_communicator *c)
{
    const char *(*const kinds[])(const ad_communicator *) = {barriers, exchanges_nothing};
    const char *wrong = NULL;
    for (int round = 0; round < ROUNDS && !wrong; round++) {
        unsigned char told = c->rank == round % c->size ? (unsigned char)round : 255;
        wrong = exchange_sizes(c, uneven_size);
        if (!wrong) wrong = gather_sizes(c, same_size);
        if (!wrong && c->broadcast(c, &told, 1, round % c->size, NULL)) wrong = "broadcast fails";
        if (!wrong && told != round) wrong = "broadcast: another round's";
        if (!wrong) wrong = kinds[round % 2](c);
    }
    return wrong;
}

static const char *describes(const ad_communicator *c)
{
    if (!c->name || !*c->name) return "it has no name";
    if (c->rank < 0 || c->rank >= c->size) return "its rank is none";
    if (c->local_size < 1 || c->local_size > c->size) return "its local size is none";
    return NULL;
}

const communicator_case communicator_cases[] = {{"describes", describes},
                                                {"exchanges", exchanges},
                                                {"exchanges_nothing", exchanges_nothing},
                                                {"gathers", gathers},
                                                {"broadcasts", broadcasts},
                                                {"barriers", barriers},
                                                {"mixes", mixes},
                                                {0}};
