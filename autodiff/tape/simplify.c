/* What a plan does to a tape before anything else: drop what no output needs, merge equal nodes, skip the broadcasts,
 * ones and zeros that the gradient sweep leaves behind, and do a product and the sum that it is for in one pass. */
#include "base/arena.h"
#include "base/broadcast.h"
#include "tape/builtin.h"
#include "tape/simplify.h"

#include <weir/memory.h>

#include <string.h>

static bool is(const ad__node *node, ad__op_id id)
{
    return node->op == ad__builtin(id);
}

static bool same_kind(const ad__node *a, const ad__node *b)
{
    return a->per_row == b->per_row && ad_shape_equal(a->shape, b->shape);
}

static bool is_number(const ad__node *node, double value)
{
    return is(node, AD_OP_constant) && node->n_attribute == 1 && node->attribute[0] == value;
}

/* The argument that this node equals, or -1. */
static int32_t equal_argument(const ad__node *node, const ad__node *all)
{
    if (node->n_in == 0) return -1;
    const ad__node *a = &all[node->in[0]];
    if (is(node, AD_OP_stop_gradient)) return node->in[0];
    if ((is(node, AD_OP_reshape) || is(node, AD_OP_broadcast) || is(node, AD_OP_to_rows)) && same_kind(node, a))
        return node->in[0];
    if (node->n_in != 2) return -1;
    const ad__node *b = &all[node->in[1]];
    bool mul = is(node, AD_OP_mul), add = is(node, AD_OP_add);
    bool right = (mul && is_number(b, 1)) || ((add || is(node, AD_OP_sub)) && is_number(b, 0)) ||
                 (is(node, AD_OP_div) && is_number(b, 1));
    bool left = (mul && is_number(a, 1)) || (add && is_number(a, 0));
    if (right && same_kind(node, a)) return node->in[0];
    if (left && same_kind(node, b)) return node->in[1];
    return -1;
}

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_of(const ad__node *node)
{
    uint64_t hash = mix(0xcbf29ce484222325u, &node->op, sizeof node->op);
    hash = mix(hash, &node->object, sizeof node->object);
    hash = mix(hash, node->in, (size_t)node->n_in * sizeof *node->in);
    return mix(hash, node->attribute, node->n_attribute * sizeof *node->attribute);
}

static bool same_node(const ad__node *a, const ad__node *b)
{
    return a->op == b->op && a->object == b->object && a->n_in == b->n_in && a->n_attribute == b->n_attribute &&
           same_kind(a, b) && (a->n_in == 0 || memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0) &&
           (a->n_attribute == 0 || memcmp(a->attribute, b->attribute, a->n_attribute * sizeof *a->attribute) == 0);
}

void ad__mark_needed(const ad__node *node, size_t count, bool *needed)
{
    for (size_t id = count; id-- > 0;)
        for (int j = 0; needed[id] && j < node[id].n_in; j++) needed[node[id].in[j]] = true;
}

/* Point node's arguments at their representatives; an elementwise op broadcasts by itself. */
static void redirect(ad__node *node, int32_t *in, const ad__node *all, const int32_t *same)
{
    for (int j = 0; j < node->n_in; j++) {
        in[j] = same[node->in[j]];
        while ((node->op->flags & AD_OP_ELEMENTWISE) &&
               (is(&all[in[j]], AD_OP_broadcast) || is(&all[in[j]], AD_OP_to_rows)))
            in[j] = all[in[j]].in[0];
    }
    node->in = in;
}

/* How often each node is an argument. */
static uint8_t *count_uses(const ad__node *node, size_t count, const bool *needed, const int32_t *same)
{
    uint8_t *uses = ad_alloc(count, sizeof *uses);
    for (size_t id = 0; uses && id < count; id++)
        for (int j = 0; needed[id] && same[id] == (int32_t)id && j < node[id].n_in; j++)
            if (uses[node[id].in[j]] < 2) uses[node[id].in[j]]++;
    return uses;
}

/* Do the factors alone make the product's shape and kind? Broadcasts of them may have been skipped. */
static bool is_whole(const ad__node *product, const ad__node *all)
{
    const ad__node *a = &all[product->in[0]], *b = &all[product->in[1]];
    ad_shape shape;
    return ad__shape_broadcast(a->shape, b->shape, &shape) && ad_shape_equal(shape, product->shape) &&
           product->per_row == (a->per_row || b->per_row);
}

/* The argument that is a product for this node alone, or -1. An addend must not stretch it. */
static int find_product(const ad__node *node, const ad__node *all, const uint8_t *uses)
{
    for (int j = 0; j < node->n_in; j++) {
        const ad__node *product = &all[node->in[j]];
        if (is(product, AD_OP_mul) && uses[node->in[j]] == 1 &&
            (is(node, AD_OP_add) ? same_kind(node, product) : is_whole(product, all)))
            return j;
    }
    return -1;
}

/* a b + c, and Σ a b of rows. */
static bool fuse(ad__node *node, size_t count, const bool *needed, const int32_t *same, ad__arena **arena)
{
    uint8_t *uses = count_uses(node, count, needed, same);
    bool good = uses != NULL;
    for (size_t id = 0; good && id < count; id++) {
        ad__node *n = &node[id];
        const bool adds = is(n, AD_OP_add), sums = is(n, AD_OP_sum) && n->per_row;
        if (!needed[id] || same[id] != (int32_t)id || !(adds || sums)) continue;
        const int j = find_product(n, node, uses);
        if (j < 0) continue;
        const ad__node *product = &node[n->in[j]];
        int32_t *in = ad__arena_alloc(arena, 3, sizeof *in);
        good = in != NULL;
        if (!good) continue;
        in[0] = product->in[0];
        in[1] = product->in[1];
        if (adds) in[2] = n->in[1 - j];
        n->op = ad__builtin(adds ? AD_OP_mul_add : AD_OP_mul_sum);
        n->in = in;
        n->n_in = adds ? 3 : 2;
    }
    ad_free(uses);
    return good;
}

bool ad__simplify(ad__node *node, size_t count, const bool *needed, int32_t *same, ad__arena **arena)
{
    size_t buckets = 16;
    while (buckets < 2 * count) buckets *= 2;
    int32_t *bucket = ad_alloc(buckets, sizeof *bucket);
    if (!bucket) return false;
    for (size_t id = 0; id < count; id++) {
        same[id] = (int32_t)id;
        if (!needed[id]) continue;
        int32_t *in = ad__arena_alloc(arena, (size_t)node[id].n_in, sizeof *in);
        if (!in) {
            ad_free(bucket);
            return false;
        }
        redirect(&node[id], in, node, same);
        int32_t equal = equal_argument(&node[id], node);
        if (equal >= 0) {
            same[id] = equal;
            continue;
        }
        if (is(&node[id], AD_OP_input) || is(&node[id], AD_OP_param)) continue;
        size_t at = (size_t)hash_of(&node[id]) & (buckets - 1);
        for (; bucket[at]; at = (at + 1) & (buckets - 1))
            if (same_node(&node[bucket[at] - 1], &node[id])) break;
        if (bucket[at])
            same[id] = bucket[at] - 1;
        else
            bucket[at] = (int32_t)id + 1;
    }
    ad_free(bucket);
    return fuse(node, count, needed, same, arena);
}
