/* What a communicator must do, tried by each of its ranks, of which there are 64 at most: mpirun -n 3 weir-communicator
 * PLUGIN. Each knows what the others send; rank 0 says whether all are content. With a second word, rank 0 doesn't come
 * to a barrier, and the others end all with status 42. */
#include <weir/models.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const ad_communicator *ranks;
static ad_error error;
static int failed;

static void expect(bool holds, const char *what)
{
    if (holds) return;
    failed = 1;
    fprintf(stderr, "rank %d of %d: %s; %s\n", ranks->rank, ranks->size, what, error.message);
}

/* Byte i of what rank `from` has for rank `to`. */
static unsigned char byte_of(int from, int to, size_t i)
{
    return (unsigned char)(31 * from + 7 * to + (int)(i % 251));
}

/* Nothing to some, one byte, and much. */
static size_t bytes_of(int from, int to, size_t scale)
{
    return (size_t)((from + 2 * to) % 4) * scale + (size_t)(from == to);
}

static void exchange(size_t scale)
{
    size_t send_bytes[64], receive_bytes[64], sent = 0, received = 0;
    for (int r = 0; r < ranks->size; r++) {
        sent += send_bytes[r] = bytes_of(ranks->rank, r, scale);
        received += receive_bytes[r] = bytes_of(r, ranks->rank, scale);
    }
    unsigned char *send = ad_alloc(sent + 1, 1), *receive = ad_alloc(received + 1, 1), *at = send;
    for (int r = 0; r < ranks->size; at += send_bytes[r++])
        for (size_t i = 0; i < send_bytes[r]; i++) at[i] = byte_of(ranks->rank, r, i);
    expect(ranks->exchange(ranks, send, send_bytes, receive, receive_bytes, &error) == AD_OK, "an exchange failed");
    at = receive;
    bool same = true;
    for (int r = 0; r < ranks->size; at += receive_bytes[r++])
        for (size_t i = 0; i < receive_bytes[r]; i++) same = same && at[i] == byte_of(r, ranks->rank, i);
    expect(same, "an exchange brought something else");
    ad_free(send);
    ad_free(receive);
}

static void gather(size_t scale)
{
    size_t bytes[64], before = 0, total = 0;
    for (int r = 0; r < ranks->size; total += bytes[r++]) {
        bytes[r] = bytes_of(r, 1, scale);
        if (r < ranks->rank) before += bytes[r];
    }
    unsigned char *all = ad_alloc(total + 1, 1), *at = all;
    for (size_t i = 0; i < bytes[ranks->rank]; i++) all[before + i] = byte_of(ranks->rank, 0, i);
    expect(ranks->gather(ranks, all, bytes, &error) == AD_OK, "a gather failed");
    bool same = true;
    for (int r = 0; r < ranks->size; at += bytes[r++])
        for (size_t i = 0; i < bytes[r]; i++) same = same && at[i] == byte_of(r, 0, i);
    expect(same, "a gather brought something else");
    ad_free(all);
}

static void broadcast(size_t bytes)
{
    unsigned char *data = ad_alloc(bytes + 1, 1);
    for (int root = 0; root < ranks->size; root++) {
        for (size_t i = 0; i < bytes; i++) data[i] = ranks->rank == root ? byte_of(root, 0, i) : 0;
        expect(ranks->broadcast(ranks, data, bytes, root, &error) == AD_OK, "a broadcast failed");
        bool same = true;
        for (size_t i = 0; i < bytes; i++) same = same && data[i] == byte_of(root, 0, i);
        expect(same, "a broadcast brought something else");
    }
    ad_free(data);
}

static void barrier(void)
{
    for (int i = 0; i < 3; i++) expect(ranks->barrier(ranks, INFINITY, &error) == AD_OK, "a barrier failed");
    expect(ranks->barrier(ranks, 60, NULL) == AD_OK, "a barrier with a limit failed");
}

/* Rank 0 doesn't come, and the others end it. */
static _Noreturn void late(void)
{
    enum { LONG = 60, ENDED = 42 };
    if (ranks->rank == 0) sleep(LONG);
    expect(ranks->rank > 0, "rank 0 wasn't ended");
    expect(ranks->barrier(ranks, .1, &error) == AD_ERROR_INTERRUPTED, "a barrier without rank 0 came to an end");
    ranks->abort(ranks, failed ? 1 : ENDED);
    exit(1);
}

int main(int count, char **words)
{
    if (count < 2 || nf_plugin_load(words[1], &error)) {
        fprintf(stderr, "%s\n", count < 2 ? "which plug-in?" : error.message);
        return 1;
    }
    const nf_communicator_type *type = nf_communicator_types()[0];
    ranks = type ? type->open(type, &error) : NULL;
    ad_pool *pool = ad_pool_new(1, NULL);
    if (!ranks || ad_pool_set_communicator(pool, ranks, &error)) {
        fprintf(stderr, "no communicator: %s\n", error.message);
        return 1;
    }
    ad_pool_free(pool);
    static const size_t scales[] = {0, 1, 1000, 100000};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        exchange(scales[i]);
        gather(scales[i]);
        broadcast(scales[i]);
    }
    barrier();
    int all[64] = {0};
    size_t bytes[64];
    for (int r = 0; r < ranks->size; r++) bytes[r] = sizeof *all;
    all[ranks->rank] = failed;
    expect(ranks->gather(ranks, all, bytes, &error) == AD_OK, "the last gather failed");
    for (int r = 0; r < ranks->size; r++) failed = failed || all[r];
    if (ranks->rank == 0 && !failed) printf("%s: ranks talk\n", ranks->name);
    fflush(stdout);
    if (count > 2) late();
    type->close(type);
    return failed;
}
